"""Numbers that others published, below the tables of the studies that they fit; and what captions say of recipes."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.core.documents import write_sealed
from ews.core.errors import EwsError
from ews.pipeline.report import measure, published, reported, study_rows, sweeps, table, training_captions
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.reported import DEFAULT
from ews.pipeline.study.cells import manifest
from ews.pipeline.study.params import load, validate
from ews.pipeline.study.schema import Params

ROOT = Path(__file__).parents[3]
Tree = Any
Grow = Callable[..., Tree]
SMALL: dict[str, Any] = {"augmentations": ("standard",), "seeds": (0,), "logs": False}
# Accuracies as published: clean, then under attack or on corrupted images.
PUBLISHED = {
    ("cifar10", "lbgat", "LBGAT with beta 0"): (88.22, 52.86),
    ("cifar100", "lbgat", "LBGAT with beta 0"): (70.25, 27.16),
    ("cifar100", "lbgat", "LBGAT with beta 6"): (60.64, 29.33),
    ("cifar10", "card_lrr", "WRN-18-2"): (96.66, 90.94),
    ("cifar10", "card_deck", "WRN-18-2"): (96.56, 92.78),
    ("cifar100", "card_lrr", "WRN-18-2"): (78.41, 66.45),
    ("cifar100", "card_deck", "WRN-18-2"): (79.93, 71.08),
    ("cifar10", "mtard", "PGD-TRADES"): (87.36, 53.60),
    ("cifar10", "rslad", "PGD-TRADES"): (83.99, 55.73),
    ("cifar10", "trades", "PGD-TRADES"): (83.00, 53.83),
    ("cifar100", "mtard", "PGD-TRADES"): (64.3, 26.75),
    ("cifar100", "rslad", "PGD-TRADES"): (58.25, 32.05),
}
# Robust accuracies of MixACM's ablation, by which of soft labels and mixup are left out beside the channel maps.
ABLATION = {
    ("mixacm.mixup=0.0", "mixacm.soft_weight=0.0"): 48.38,
    ("mixacm.mixup=0.0",): 49.53,
    ("mixacm.soft_weight=0.0",): 52.29,
    (): 56.65,
}


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml")


@pytest.fixture(scope="module")
def numbers() -> reported.Reported:
    return reported.load()


def _texts(tree: Tree) -> dict[str, str]:
    study = study_rows.load(tree.study)
    found, records = measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())
    return table.tables(study, found, records=records, reported=reported.load())


def test_each_is_100_less_the_published_accuracy_and_beside_no_row(numbers: reported.Reported) -> None:
    left = dict(PUBLISHED)
    for one in numbers.comparisons:
        assert all(numbers.find(one.trained, metric) is None for metric in one.numbers)
        values = [number.value for number in one.numbers.values()]
        if one.trained.method == "mixacm":
            assert values == [pytest.approx(100 - ABLATION[one.trained.differs])]
            continue
        (key,) = (k for k in left if k[:2] == one.trained[:1] + one.trained[3:4] and one.setting.startswith(k[2]))
        assert values == pytest.approx([100 - accuracy for accuracy in left.pop(key)])
        if one.trained.method == "lbgat":
            assert "radius .031" in one.setting and one.trained.architecture == "wrn34_10"
    assert not left
    assert sum(one.trained.method == "mixacm" for one in numbers.comparisons) == len(ABLATION)


@pytest.mark.parametrize(
    ("study", "methods"),
    [
        ("table1", {"card_lrr", "card_deck"}),
        ("comparison_corruption", {"card_lrr", "card_deck"}),
        ("table5", set()),  # standard augmentation alone
        ("comparison_corruption_own", set()),
        ("table4", {"lbgat"}),
        ("comparison_adversarial", {"lbgat", "mtard", "rslad", "trades", "mixacm"}),
        ("mixacm_ablation", {"mixacm"}),
        ("mixacm_ablation_digits", set()),
        ("cifar10_gpu", set()),  # other images than CIFAR-10's
    ],
)
def test_they_stand_with_the_studies_that_ask_the_same(
    params: Params, numbers: reported.Reported, study: str, methods: set[str]
) -> None:
    rows = study_rows.Manifest.model_validate_json(manifest(params, study).model_dump_json())
    assert {one.trained.method for one in published.found(rows, numbers)} == methods


def test_the_table_names_network_setting_and_source(grow: Grow) -> None:
    tree = grow(**{**SMALL, "augmentations": ("standard", "augmix")}, datasets=("cifar10",), methods=("vanilla", "ews"))
    texts = _texts(tree)
    head, tail = texts["table.md"].split("Published elsewhere")
    assert "card" not in head
    (deck,) = (line for line in tail.splitlines() if "card\\_deck" in line and line.startswith("|"))
    assert [cell.strip() for cell in deck.strip("|").split("|")] == [
        "card\\_deck", "wrn18\\_2", "3.44<sup>a</sup>", "7.22<sup>a</sup>",
    ]  # fmt: skip
    assert "<sup>a</sup> Diffenderfer, Bartoldson, Chaganti, Zhang, Kailkhura (2021), CIFAR-10 and CIFAR-10-C: " in tail
    assert "95 % of the weights are zero" in tail
    for name in ("table.tex", "table.html"):
        assert "7.22" in texts[name], name
    assert "card" not in texts["table.csv"]


def test_two_data_sets_are_told_apart(grow: Grow, numbers: reported.Reported) -> None:
    tree = grow(**{**SMALL, "augmentations": ("augmix",)}, datasets=("cifar10", "cifar100"), methods=("vanilla", "ews"))
    grid = published.grid(study_rows.load(tree.study), numbers)
    assert grid is not None and grid.heads == ("dataset", "method", "network")
    assert [(row.heads, row.cells[1].text) for row in grid.rows] == [
        (("cifar10", "card_lrr", "wrn18_2"), "9.06"),
        (("cifar10", "card_deck", "wrn18_2"), "7.22"),
        (("cifar100", "card_lrr", "wrn18_2"), "33.55"),
        (("cifar100", "card_deck", "wrn18_2"), "28.92"),
    ]
    assert published.grid(study_rows.load(grow(**SMALL, datasets=("cifar10",)).study), numbers) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beside": ["nothing"]}, "beside: unknown component 'nothing'; valid: vanilla, dropout"),
        ({"beside": ["ews"]}, "beside: needs a `variant`"),
    ],
)
def test_a_wrong_place_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    raw = copy.deepcopy(yaml.safe_load(DEFAULT.read_text()))
    raw["tables"][0].update(change)
    path = tmp_path / "reported.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(EwsError, match=message):
        reported.load(path)


SLOW: dict[str, Any] = {"epochs": 50, "schedule": "linear", "milestones": [0.5, 0.9], "gamma": 0.01}


def test_captions_name_different_recipes(grow: Grow) -> None:
    tree = grow(
        **SMALL,
        methods=("vanilla", "damp, recipe=slow"),
        differs={"damp, recipe=slow": {"recipe": "slow"}},
        recipes={"damp, recipe=slow": SLOW},
    )
    texts = _texts(tree)
    caption = texts["caption.txt"]
    assert "Rows were trained under different recipes and so differ in more than their method: standard (" in caption
    assert "standard (epochs 12, schedule cosine, milestones none, gamma 0.1)" in caption
    assert "slow (epochs 50, schedule linear, milestones 0.5-0.9, gamma 0.01" in caption
    assert "Values other than the defaults" not in caption
    # The row is compared with nothing: vanilla had another recipe.
    rows = [line for line in texts["table.md"].splitlines() if line.startswith("|") and "damp" in line]
    assert rows and not any("(" in row for row in rows)


def test_one_recipe_of_all_rows_is_named_once(grow: Grow) -> None:
    methods = ("vanilla", "damp")
    tree = grow(
        **SMALL,
        methods=methods,
        differs={name: {"recipe": "slow"} for name in methods},
        recipes=dict.fromkeys(methods, SLOW),
    )
    assert "All rows were trained under the recipe slow." in _texts(tree)["caption.txt"]
    assert "recipe slow" not in _texts(grow(**SMALL, methods=methods))["caption.txt"]


def test_variants_are_explained_and_are_no_sweep(grow: Grow) -> None:
    values = {"narrow": {"width": 0.5, "weight": 2.0}, "wide": {"width": 0.9, "weight": 1.0}}
    names = [f"ews, {name}, interval={interval}" for name in values for interval in (1, 2)]
    tree = grow(**SMALL, methods=("vanilla",))
    assert training_captions.variants(study_rows.load(tree.study)) == ""
    manifest = _with_variants(grow, values, names)
    assert training_captions.variants(manifest) == (
        "Variants: narrow: ews.weight=2.0, ews.width=0.5; wide: ews.weight=1.0, ews.width=0.9."
    )
    assert training_captions.changed(manifest) == ""
    found = sweeps.find(manifest)
    assert found is not None and found.parameter == "ews.interval"
    assert [line.name for line in found.lines] == ["ews, narrow", "ews, wide"]
    alone = _with_variants(grow, values, [f"ews, {name}" for name in values])
    assert sweeps.find(alone) is None


EPSILON = "methods.at.epsilon"


def _planned(folder: Path, **keys: Any) -> study_rows.Manifest:
    """Return the manifest of a study of digits and one seed, as reports read it."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["studies"]["mine"] = {"dataset": "digits", "seed": 0, "evaluations": ["clean"], **keys}
    path = folder / "study.json"
    write_sealed(path, manifest(validate(raw), "mine"))
    return study_rows.load(path)


@pytest.mark.parametrize(
    "keys",
    [
        {"method": "at", "variants": {"a": {EPSILON: "10/255"}, "b": {EPSILON: "12/255"}}},
        {"method": "at", "overrides": {EPSILON: ["10/255", "12/255"]}},
        {"method": "ews", "variants": {"a": {"methods.ews.weight": 2}, "b": {"methods.ews.weight": 3}}},
        {"method": "ews", "overrides": {"methods.ews.weight": [2, 3]}},
        {"method": "ews", "overrides": {"methods.ews.betas": [[0, 0.9], [0, 0.99]]}},
        {"method": "ews", "variants": {"a": {"methods.ews.betas": [0, 0.9]}}},
    ],
)
def test_values_of_a_variant_or_a_sweep_are_not_said_of_the_whole_table(tmp_path: Path, keys: dict[str, Any]) -> None:
    study = _planned(tmp_path, **keys)
    assert any(entry.differs for entry in study.entries) and training_captions.changed(study) == ""


def test_values_set_once_are_said_beside_a_sweep_s_and_levels_as_such(tmp_path: Path) -> None:
    overrides = {EPSILON: ["10/255", "12/255"], "methods.at.step_size": "3/255", "methods.at.validation_step_size": 0.2}
    study = _planned(tmp_path, method="at", overrides=overrides)
    # 0.2 is 51/255 too, and no one wrote it so.
    assert training_captions.changed(study) == (
        "Values other than the defaults: at.step_size=3/255, at.validation_step_size=0.2."
    )
    # A value that only reads alike is not the row's own.
    other = _planned(tmp_path, method="at", overrides={EPSILON: ["10/255"], "methods.at.step_size": "10/255"})
    assert training_captions.changed(other) == "Values other than the defaults: at.step_size=10/255."


def test_the_line_of_a_sweep_of_levels_is_named_without_them(tmp_path: Path) -> None:
    found = sweeps.find(_planned(tmp_path, method="at", overrides={EPSILON: ["10/255", "12/255"]}))
    assert found is not None and [line.name for line in found.lines] == ["at"]


def _with_variants(grow: Grow, values: dict[str, dict[str, float]], names: list[str]) -> study_rows.Manifest:
    """Return the manifest of rows called `ews, variant` or `ews, variant, key=value`."""
    plain = {name: ", ".join(["ews", *name.split(", ")[2:]]) for name in names}
    tree = grow(**SMALL, methods=("vanilla", *dict.fromkeys(plain.values())))
    rows = {entry["label"]["method"]: entry for entry in tree.entries}
    entries = [rows["vanilla"]]
    for name in names:
        entry = copy.deepcopy(rows[plain[name]])
        variant = values[name.split(", ")[1]]
        entry["label"]["method"] = name
        entry["cell"]["method"]["components"][0]["parameters"].update(variant)
        entry["differs"] |= {f"ews.{key}": value for key, value in variant.items()}
        entry["run"] = entry["run"].replace("/seed", f"--{name.split(', ')[1]}/seed")
        entries.append(entry)
    tree.manifest["entries"] = entries
    tree.manifest["variants"] = {
        name: {f"methods.ews.{key}": value for key, value in own.items()} for name, own in values.items()
    }
    tree.rewrite()
    return study_rows.load(tree.study)
