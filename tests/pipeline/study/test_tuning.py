"""A study's tuning: which trials are due, what is refused, and what its rows are trained with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.study.cells import manifest, plan
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.manifest import Choice
from ews.pipeline.study.plans import all_cells, plan_all, plan_one
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trials import asked, trials
from ews.pipeline.study.tuned import Tuned, path_of, read, write
from ews.pipeline.workflow.workflow_plan import Plan

AddStudy = Callable[..., Params]
DECAY = "recipes.digits.standard.weight_decay"
SMOOTHING = "recipes.digits.standard.label_smoothing"
GRID: dict[str, Any] = {
    "vanilla": {DECAY: [1.0e-4, 1.0e-3]},
    "ews": {"methods.ews.weight": [0.3, 1.0]},
    "smooth": {SMOOTHING: [0.1, 0.2]},
}
STUDY: dict[str, Any] = {
    "dataset": "digits",
    "method": ["vanilla", "ews"],
    "seed": [0, 1],
    "variants": {
        "random": {"method": "ews", "methods.ews.search": "random"},
        "smooth": {"method": "vanilla"},
        "light": {"method": "ews", "methods.ews.weight": 0.1},
    },
    "tune": {"seeds": [7, 8], "grid": GRID},
}


def tuned(params: Params, study: str = "mine", **changes: Any) -> Tuned:
    """Return a made-up choice: the last combination of each entry of the grid."""
    found = trials(params, study)
    chosen = {
        (trial.names, trial.arm): Choice(
            dataset=trial.names[0],
            architecture=trial.names[1],
            augmentation=trial.names[2],
            arm=trial.arm,
            values=trial.values,
            error=20.0,
        )
        for trial in found
    }
    tuning = params.studies[study].tune
    assert tuning is not None
    plain: dict[str, Any] = {
        "study": study,
        "asked": asked(study, found, tuning),
        "by": tuning.by,
        "seeds": tuple(tuning.seeds),
        "corruptions": ("spatter",),
        "validation_images": 50,
        "seconds": 1.0,
        "processor_seconds": 1.0,
        "chosen": tuple(chosen.values()),
        "trials": (),
    }
    return Tuned(**(plain | changes))


def changed(**tune: Any) -> dict[str, Any]:
    return STUDY | {"tune": STUDY["tune"] | tune}


def test_trials_are_each_combination_on_each_seed_of_their_own(with_study: AddStudy) -> None:
    found = trials(with_study(**STUDY), "mine")
    assert [(one.arm, one.seed, *one.values.values()) for one in found] == [
        (arm, seed, value)
        for arm, values in (("vanilla", (1e-4, 1e-3)), ("smooth", (0.1, 0.2)), ("ews", (0.3, 1.0)))
        for value in values
        for seed in (7, 8)
    ]
    assert len(found) == 12 and len({one.planned.run for one in found}) == 12
    for one in found:
        assert [asked.kind for asked in one.planned.asked] == ["validation"]
        flat = flatten(one.planned.cell)
        key = {"vanilla": "recipe.weight_decay", "smooth": "recipe.label_smoothing", "ews": "ews.weight"}[one.arm]
        assert flat[key] == next(iter(one.values.values())) and one.planned.cell.seed == one.seed


def test_rows_are_trained_with_what_was_chosen(with_study: AddStudy) -> None:
    params = with_study(**STUDY)
    rows = [entry for entry in plan(params, "mine", tuned(params)) if entry.cell.seed == 0]
    values = {}
    for entry in rows:
        flat = flatten(entry.cell)
        keys = ("recipe.weight_decay", "recipe.label_smoothing", "ews.weight", "ews.search")
        values[entry.label.method] = tuple(flat.get(key) for key in keys)
    assert values == {
        "vanilla": (1e-3, 0.0, None, None),
        "vanilla, smooth": (5e-4, 0.2, None, None),
        "ews": (5e-4, 0.0, 1.0, "learned"),
        # Without an entry of the grid: the values of its method, but for those that it sets itself.
        "ews, random": (5e-4, 0.0, 1.0, "random"),
        "ews, light": (5e-4, 0.0, 0.1, "learned"),
    }
    assert list(values) == ["vanilla", "vanilla, smooth", "ews", "ews, random", "ews, light"]


def test_values_are_chosen_for_each_architecture(with_study: AddStudy) -> None:
    params = with_study(**STUDY | {"architecture": ["resnet8_thin", "resnet8"]})
    choice = tuned(params)
    assert len(choice.chosen) == 6
    first = choice.chosen[0]
    other = first.model_copy(update={"values": {DECAY: 1.0e-4}})
    choice = choice.model_copy(update={"chosen": (other, *choice.chosen[1:])})
    decays = {
        entry.label.architecture: flatten(entry.cell)["recipe.weight_decay"]
        for entry in plan(params, "mine", choice)
        if entry.label.method == "vanilla"
    }
    assert decays == {"resnet8_thin": 1e-4, "resnet8": 1e-3}


def test_an_untuned_study_alone_is_refused(with_study: AddStudy, tmp_path: Path) -> None:
    params = with_study(**STUDY)
    plans = plan_all(params, tmp_path)
    assert "mine" not in plans.studies and "quickstart" in plans.studies and len(plans.trials["mine"]) == 12
    with pytest.raises(EwsError, match=r"its values are not tuned yet: .*mine/tuned\.yaml is missing\. Run `snakemake"):
        plan_one(params, "mine", tmp_path)
    with pytest.raises(EwsError, match=r"not tuned yet.*snakemake tune_mine"):
        plan(params, "mine")
    # Its trials are planned all the same.
    assert {one.planned.run for one in plans.trials["mine"]} <= set(all_cells(params, tmp_path)) | {
        entry.run for entry in all_cells(params, tmp_path).values()
    }


def test_the_file_is_read_back_and_a_stale_one_is_refused(with_study: AddStudy, tmp_path: Path) -> None:
    params = with_study(**STUDY)
    path = path_of(tmp_path, "mine")
    write(path, tuned(params))
    plans = plan_one(params, "mine", tmp_path)
    assert plans.tuned["mine"] == tuned(params)
    assert len(plans.cells("mine")) == 10
    for change in (
        {"tune": STUDY["tune"] | {"seeds": [7, 9]}},
        {"tune": STUDY["tune"] | {"by": "clean"}},
        {"tune": STUDY["tune"] | {"grid": GRID | {"ews": {"methods.ews.weight": [0.3, 2.0]}}}},
        {"overrides": {"recipes.digits.standard.epochs": 3}},
    ):
        with pytest.raises(EwsError, match=r"tuned\.yaml: is of other trials than studies\.mine.*snakemake tune_mine"):
            plan_one(with_study(**STUDY | change), "mine", tmp_path)
    # What rows differ in beside the trials leaves them as they are.
    assert plan_one(with_study(**STUDY | {"seed": [0, 1, 2], "title": "More"}), "mine", tmp_path).studies


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("methods.ews.weight: ", "methods.ews.weight: 1"),
        ("error: 20.0", "error: 19.0"),
        ("by: corruption", "by: clean"),
        ("validation_images: 50", "validation_images: 500"),
        ("- spatter", "- speckle_noise"),
        ("checksum: ", "checksum: 0"),
        ("checksum: ", "# checksum: "),
        ("checksum: ", "checksum: [] # "),
    ],
)
def test_a_choice_changed_by_hand_is_refused(with_study: AddStudy, tmp_path: Path, old: str, new: str) -> None:
    params = with_study(**STUDY)
    path = path_of(tmp_path, "mine")
    write(path, tuned(params))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    message = r"tuned\.yaml: was changed or damaged .* does not match.*Delete it and run `snakemake tune_mine`"
    with pytest.raises(EwsError, match=message):
        plan_one(params, "mine", tmp_path)


def test_another_form_of_the_same_content_is_read(with_study: AddStudy, tmp_path: Path) -> None:
    params = with_study(**STUDY)
    path = path_of(tmp_path, "mine")
    write(path, tuned(params))
    path.write_text(path.read_text().replace("error: 20.0", "error: 2e1 # percent"))
    assert plan_one(params, "mine", tmp_path).tuned["mine"] == tuned(params)


@pytest.mark.parametrize(
    "value", ["1e-5", "1E5", "010", "0o17", "null", "yes", "1:30", "8/255", "<<", "", 1e-5, 3.0, None]
)
def test_a_chosen_value_keeps_its_type(with_study: AddStudy, tmp_path: Path, value: Any) -> None:
    params = with_study(**STUDY)
    path = path_of(tmp_path, "mine")
    choice = tuned(params).chosen[0]
    chosen = choice.model_copy(update={"values": {"key": value}})
    write(path, tuned(params, chosen=(chosen,)))
    (found,) = read(path, params, "mine", trials(params, "mine")).chosen
    assert repr(found.values["key"]) == repr(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not valid YAML"),
        ("study: mine\n", r"tuned\.yaml: asked: Field required"),
        ("just text", r"tuned\.yaml: \(the whole\)"),
        ("day: 2026-01-01\n", r"not valid YAML|Field required"),
    ],
)
def test_a_damaged_file_is_named(with_study: AddStudy, tmp_path: Path, text: str, message: str) -> None:
    params = with_study(**STUDY)
    path = path_of(tmp_path, "mine")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(EwsError, match=message):
        read(path, params, "mine", trials(params, "mine"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (changed(seeds=[1, 2]), r"tune\.seeds: 1 among the study's own seeds"),
        (changed(seeds=[7, 7]), r"tune\.seeds: a value stands twice"),
        (changed(by="test"), r"tune\.by = 'test'"),
        (changed(grid={"vanilla": GRID["vanilla"]}), r"tune\.grid: has no values of ews"),
        (
            changed(grid=GRID | {"ews": {"methods.ews.weight": [0.3, 1.0, 3.0]}}),
            r"different numbers of combinations: vanilla 2, ews 3, smooth 2",
        ),
        (
            changed(grid=GRID | {"ewss": GRID["ews"]}),
            r"unknown method or variant 'ewss'. Did you mean 'ews'",
        ),
        (
            changed(grid=GRID | {"dropout": {"methods.dropout.rate": [0.1]}}),
            r"unknown method or variant 'dropout'",
        ),
        (changed(grid=GRID | {"ews": {}}), r"tune\.grid\.ews: no values to try"),
        (changed(grid=GRID | {"ews": {"methods.ews.weight": []}}), r"tune\.grid\.ews\.methods\.ews\.weight"),
        (
            changed(grid=GRID | {"ews": {"methods.ews.widht": [0.1, 0.2]}}),
            r"tune\.grid\.ews: 'methods\.ews\.widht': no such key\. Did you mean 'width'",
        ),
        (
            changed(grid=GRID | {"ews": {"methods.ews.weight": [-1, 0.2]}}),
            r"tune\.grid\.ews: methods\.ews\.weight = -1",
        ),
        (changed(grid=GRID | {"ews": {"methods.ews.weight": [1.0, 1.0]}}), r"a value stands twice in \[1\.0, 1\.0\]"),
        (
            changed(grid=GRID | {"ews": {"methods.damp.sigma": [0.1, 0.2]}}),
            r"damp\.sigma' changes no cell of ews",
        ),
        (changed(grid=GRID | {"ews": {"evaluation.test_images": [1, 2]}}), r"changes no training run"),
        (changed(grid=GRID | {"ews": {"seeds": [1, 2]}}), r"tune\.grid\.ews: 'seeds' cannot be overridden"),
        (
            changed(grid=GRID | {"light": {"methods.ews.weight": [0.3, 1.0]}}),
            r"tune\.grid\.light: 'methods\.ews\.weight' stands under variants\.light too",
        ),
        (
            STUDY | {"overrides": {"methods.ews.weight": 0.5}},
            r"tune\.grid\.ews: 'methods\.ews\.weight' stands under overrides too",
        ),
        (STUDY | {"overrides": {"methods.ews.width": [0.5, 0.7]}}, r"has no sweeps, and 'methods\.ews\.width'"),
        (
            STUDY | {"overrides": {"evaluation.corruption.names": ["fog", "spatter"]}},
            r"tune\.by = 'corruption': spatter would choose the values and test them",
        ),
        (
            STUDY
            | {"variants": {"both": {"methods.ews.width": 0.5}}, "tune": {"seeds": [7], "grid": {**GRID, "both": {}}}},
            r"the variant 'both' is of several methods|unknown method or variant 'smooth'",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_and_named(with_study: AddStudy, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        trials(with_study(**keys), "mine")


def test_tested_corruptions_may_be_any_where_the_clean_error_chooses(with_study: AddStudy) -> None:
    overrides = {"evaluation.corruption.names": ["fog", "spatter"]}
    assert trials(with_study(**changed(by="clean") | {"overrides": overrides}), "mine")


def test_a_study_cannot_have_the_name_of_another_one_s_tuning(raw: dict[str, Any]) -> None:
    from ews.pipeline.study.params import validate

    raw["studies"]["mine"] = STUDY
    raw["studies"]["tune_mine"] = {"dataset": "digits", "method": "vanilla"}
    with pytest.raises(EwsError, match=r"cannot be called 'tune_mine': that target tunes 'mine'"):
        validate(raw)


def test_the_manifest_says_what_was_chosen(with_study: AddStudy) -> None:
    params = with_study(**STUDY)
    found = manifest(params, "mine", tuned=tuned(params)).tuned
    assert found is not None and found.by == "corruption" and found.seeds == (7, 8)
    assert {choice.arm: dict(choice.values) for choice in found.chosen} == {
        "vanilla": {DECAY: 1e-3},
        "smooth": {SMOOTHING: 0.2},
        "ews": {"methods.ews.weight": 1.0},
    }
    assert manifest(params, "quickstart").tuned is None


def test_the_workflow_plans_trials_and_holds_the_study_back(raw: dict[str, Any], tmp_path: Path) -> None:
    from ews.pipeline.workflow import studies

    root = Path(__file__).parents[3]
    raw["studies"] = {"mine": STUDY, "other": {"dataset": "digits", "method": "vanilla"}}
    raw["reproduce"] = ["other"]
    found = Plan.of(raw, sources=root / "data/sources.yaml", results=tmp_path)
    files = studies.trial_files(found, "mine")
    assert len(files) == 24 and sum(file.endswith("/validation.json") for file in files) == 12
    assert {file.removeprefix("results/runs/").removesuffix("/record.json") for file in files} >= set(found.cells) - {
        entry.run for entry in found.of_study("other")
    }
    assert studies.trials_digest(found, "mine") and not studies.trials_digest(found, "other")
    for ask in (studies.evaluations, studies.tables, studies.records):
        if ask is not studies.tables:
            with pytest.raises(EwsError, match="not tuned yet"):
                ask(found, ["mine"])
    assert studies.evaluations(found, ["other"])
