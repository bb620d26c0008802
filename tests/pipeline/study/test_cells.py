"""Studies become cells: cross products, overrides, sharing, and one folder for each set of parameters."""

import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ews.core.documents import read_document, write_document
from ews.core.errors import EwsError
from ews.methods.adversarial_objective_spec import AdversarialParameters
from ews.methods.awp.awp_spec import AwpParameters
from ews.methods.ews.ews_spec import EwsParameters
from ews.models.awnet.awnet_spec import AwnetNetwork
from ews.pipeline.evaluate.adaptive.adaptive_spec import AdaptiveOptions
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialOptions
from ews.pipeline.study.cells import manifest, plan
from ews.pipeline.study.flat import flat_section, flatten
from ews.pipeline.study.manifest import Manifest
from ews.pipeline.study.naming import LONGEST, canonical, spell, tagged
from ews.pipeline.study.params import validate
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params

AddStudy = Callable[..., Params]


def test_three_lines_add_an_experiment(with_study: AddStudy) -> None:
    cells = plan(with_study(dataset="digits", method=["vanilla", "ews"]), "mine")
    assert [entry.run for entry in cells] == [
        f"digits/resnet8_thin/standard/{method}/seed{seed}" for method in ("vanilla", "ews") for seed in (0, 1, 2)
    ]


def test_table1_is_18_trainings_of_400_epochs(params: Params) -> None:
    cells = plan(params, "table1")
    assert len(cells) == 18
    assert {entry.cell.recipe.epochs for entry in cells} == {400}
    assert {entry.label.architecture for entry in cells} == {"resnet50"}


def test_table1_released_adds_four_trainings_to_table1(params: Params) -> None:
    shared = {entry.run for entry in plan(params, "table1")}
    cells = plan(params, "table1_released")
    found = []
    for entry in cells:
        parameters = entry.cell.method.parameters
        if not parameters:
            assert entry.run in shared
            continue
        ews = parameters["ews"]
        assert isinstance(ews, EwsParameters) and entry.run not in shared
        found.append((entry.cell.dataset, ews.distillation, ews.reduction))
    names = ("cifar10", "cifar100")
    assert sorted(found) == [(name, loss, "mean") for name in names for loss in ("ce", "kl")]
    assert len(cells) == 6


def test_table4_is_30_adversarial_trainings_of_200_epochs(params: Params) -> None:
    cells = plan(params, "table4")
    assert len(cells) == len({entry.run for entry in cells}) == 30
    assert {entry.label.architecture for entry in cells} == {"preact_resnet18", "wrn28_10", "wrn34_10"}
    for entry in cells:
        recipe = entry.cell.recipe
        assert (recipe.epochs, recipe.label_smoothing, recipe.weight_decay) == (200, 0.0, 5e-4)
        parts = entry.cell.method.parameters
        objective = parts["at"] if "at" in parts else parts["trades"]
        # TRADES trains within its own radius; all are tested within 8/255.
        radius = 8 / 255 if "at" in parts else 0.031
        assert isinstance(objective, AdversarialParameters) and objective.epsilon == radius
        tested = entry.options("adversarial")
        assert isinstance(tested, AdversarialOptions) and tested.epsilon == 8 / 255
        if "ews" in parts:
            ews = parts["ews"]
            assert isinstance(ews, EwsParameters)
            assert (ews.weight, ews.width, ews.entropy_bonus) == (0.1, 0.9, 0.01)


def test_table4_tricks_has_the_tricks_and_else_what_table4_has(params: Params) -> None:
    usual = {entry.label.method: entry for entry in plan(params, "table4") if entry.label.architecture == "wrn34_10"}
    cells = plan(params, "table4_tricks")
    assert [entry.label.method for entry in cells] == ["at", "at+ews"]
    for entry in cells:
        found, before = flatten(entry.cell), flatten(usual[entry.label.method].cell)
        assert {key: value for key, value in found.items() if value != before[key]} == {
            "architecture.activation": "softplus",
            "recipe.label_smoothing": 0.1,
        }


def test_options_of_a_network_name_rows_and_folders(with_study: AddStudy) -> None:
    sweep = {"architectures.resnet8_thin.activation": ["relu", "softplus"]}
    overrides = {**sweep, "architectures.resnet8_thin.normalise": False}
    cells = plan(with_study(dataset="digits", seed=0, method="vanilla", overrides=overrides), "mine")
    assert [entry.label.method for entry in cells] == ["vanilla, activation=relu", "vanilla, activation=softplus"]
    assert [entry.run for entry in cells] == [
        "digits/resnet8_thin/standard/vanilla--architecture.normalise-false/seed0",
        "digits/resnet8_thin/standard/vanilla--architecture.activation-softplus--architecture.normalise-false/seed0",
    ]
    with pytest.raises(EwsError, match=r"zero_init_residual': no such key\. Valid below architectures\.wrn10_1: "):
        plan(
            with_study(
                dataset="digits",
                architecture="wrn10_1",
                method="vanilla",
                overrides={"architectures.wrn10_1.zero_init_residual": True},
            ),
            "mine",
        )


def test_the_crop_s_fill_is_told_from_autoaugment_s(with_study: AddStudy) -> None:
    overrides = {"datasets.digits.standard.fill": [0, 128], "augmentations.autoaugment.fill": 9}
    cells = plan(
        with_study(dataset="digits", augmentation="autoaugment", seed=0, method="vanilla", overrides=overrides), "mine"
    )
    assert [entry.differs for entry in cells] == [
        {"augmentation.fill": 9},
        {"augmentation.fill": 9, "crop.fill": 128},
    ]
    assert len({entry.run for entry in cells}) == 2


@pytest.mark.parametrize("study", ["quickstart", "table1", "table4", "comparison_adversarial"])
def test_no_two_parameters_of_a_cell_have_one_key(params: Params, study: str) -> None:
    for entry in plan(params, study):
        cell = entry.cell
        sections = [cell.architecture.parameters, cell.augmentation.crop, cell.augmentation.parameters, cell.recipe]
        sections += [component.parameters for component in cell.method.components]
        if cell.architecture.dynamic is not None:
            sections.append(cell.architecture.dynamic.parameters)
        own = [key for section in sections for key in flat_section(section) if not key.startswith("teachers.")]
        assert len([key for key in flatten(cell) if ".teachers." not in key]) == len(own)


def test_the_paper_s_numbers_stand_beside_table4(params: Params) -> None:
    from ews.pipeline.report import reported
    from ews.pipeline.report.reported import Trained

    numbers = reported.load()
    for entry in plan(params, "table4"):
        cell = entry.cell
        names = (cell.dataset, cell.architecture.name, cell.augmentation.name, cell.method.name)
        trained = Trained(*names, tuple(f"{key}={spell(value)}" for key, value in entry.differs.items()))
        assert numbers.find(trained, "autoattack error") is not None, trained


def test_weight_perturbation_has_its_parameters_by_objective(with_study: AddStudy) -> None:
    sweep = {"methods.awp.trades.gamma": [0.005, 0.02]}
    params = with_study(dataset="digits", seed=0, method=["at+awp", "trades+awp"], overrides=sweep)
    cells = plan(params, "mine")
    found = [(e.label.method, e.cell.method.parameters["awp"]) for e in cells]
    assert found == [
        ("at+awp", AwpParameters(gamma=0.01, warmup_epochs=0)),
        ("trades+awp, gamma=0.005", AwpParameters(gamma=0.005, warmup_epochs=10)),
        ("trades+awp, gamma=0.02", AwpParameters(gamma=0.02, warmup_epochs=10)),
    ]


def test_grey_levels_may_be_swept(with_study: AddStudy) -> None:
    sweep = {"methods.at.epsilon": ["4/255", "8/255"]}
    cells = plan(with_study(dataset="digits", seed=0, method=["at"], overrides=sweep), "mine")
    assert [flatten(entry.cell)["at.epsilon"] for entry in cells] == [4 / 255, 8 / 255]
    assert [entry.label.method for entry in cells] == ["at, epsilon=4/255", "at, epsilon=8/255"]
    assert cells[1].run == "digits/wrn10_1/standard/at/seed0".replace("wrn10_1", cells[1].label.architecture)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("at", r"recipes\.digits has no entry 'adversarial'"),
        ("trades+rst", r"datasets\.digits has no `extra`"),
    ],
)
def test_what_a_method_lacks_is_named(raw: dict[str, Any], method: str, message: str) -> None:
    del raw["recipes"]["digits"]["adversarial"]
    raw["studies"] = {"quickstart": {"dataset": "digits", "method": [method]}}
    with pytest.raises(EwsError, match=message):
        plan(validate(raw), "quickstart")


@pytest.mark.parametrize(
    ("method", "changes", "most"),
    [
        ("damp", {}, 32),
        ("sam+ews", {}, 32),
        ("sam+ews", {"statistics": "part"}, 16),
        ("at+asam", {"statistics": "part"}, 16),
    ],
)
def test_more_sub_batches_than_images_are_refused(
    with_study: AddStudy, method: str, changes: dict[str, str], most: int
) -> None:
    (moves,) = {"damp", "sam", "asam"} & set(method.split("+"))
    key = f"methods.{moves}.sub_batches"
    overrides = {f"methods.{moves}.{name}": value for name, value in changes.items()}
    fitting = with_study(dataset="digits", method=method, overrides={**overrides, key: most})
    assert [entry.cell.recipe.batch_size for entry in plan(fitting, "mine")] == [32] * 3
    params = with_study(dataset="digits", method=method, overrides={**overrides, key: most + 1})
    recipe = "adversarial" if method.startswith("at+") else "standard"
    message = rf"recipes\.digits\.{recipe}\.batch_size = 32: {key} = {most + 1} is too many for it; valid: 1 to {most}"
    with pytest.raises(EwsError, match=message):
        plan(params, "mine")


@pytest.mark.parametrize(
    ("method", "changes", "most"),
    [
        ("damp", {}, 6),
        ("sam+ews", {}, 6),
        ("asam", {"methods.asam.statistics": "part"}, 3),
        # Extra images in proportion: 3 beside 6 labelled ones; or as many as fill the batch.
        ("at+damp+rst", {"methods.rst.epoch": "pass", "methods.rst.share": 0.25}, 8),
        ("at+damp+rst", {}, 16),
    ],
)
def test_more_sub_batches_than_images_that_train_are_refused(
    raw: dict[str, Any], with_study: AddStudy, method: str, changes: dict[str, Any], most: int
) -> None:
    raw["datasets"]["digits"]["extra"] = {"file": "mine.npz"}
    (moves,) = {"damp", "sam", "asam"} & set(method.split("+"))
    recipe = f"recipes.digits.{'adversarial' if 'at' in method.split('+') else 'standard'}"
    key = f"methods.{moves}.sub_batches"
    few = {**changes, f"{recipe}.train_images": 6, f"{recipe}.batch_size": 16}
    assert plan(with_study(dataset="digits", seed=0, method=method, overrides={**few, key: most}), "mine")
    params = with_study(dataset="digits", seed=0, method=method, overrides={**few, key: most + 1})
    given = "batch_size = 16" if most == 16 else "train_images = 6"
    message = re.escape(f"{recipe}.{given}: {key} = {most + 1} is too many for it; valid: 1 to {most}.")
    with pytest.raises(EwsError, match=message):
        plan(params, "mine")


@pytest.mark.parametrize(
    ("share", "form", "kinds"),
    [(0.01, "pass", "32 labelled and 0"), (0.99, "pass", "0 labelled and 32"), (0.03, "batches", "32 labelled and 0")],
)
def test_a_share_that_leaves_a_batch_without_one_kind_is_refused(
    raw: dict[str, Any], share: float, form: str, kinds: str
) -> None:
    raw["datasets"]["digits"]["extra"] = {"file": "mine.npz"}
    overrides = {"methods.rst.share": share, "methods.rst.epoch": form}
    raw["studies"] |= {"mine": {"dataset": "digits", "method": "at+rst", "overrides": overrides}}
    message = rf"recipes\.digits\.adversarial\.batch_size = 32: methods\.rst\.share = {share}: .* {kinds} extra"
    with pytest.raises(EwsError, match=message):
        plan(validate(raw), "mine")


def test_one_line_composes_them_with_ews_and_every_augmentation(with_study: AddStudy) -> None:
    methods = ["damp", "damp+ews", "sam+ews", "asam+ews", "dropout+damp", "trades+asam"]
    augmentations = ["standard", "autoaugment", "augmix"]
    cells = plan(with_study(dataset="digits", method=methods, augmentation=augmentations, seed=0), "mine")
    assert len(cells) == 18
    for entry in cells:
        assert list(entry.cell.method.names) == entry.label.method.split("+")


def test_a_sweep_multiplies_only_the_cells_it_touches(with_study: AddStudy) -> None:
    widths = [0.1, 0.3, 0.7]
    params = with_study(dataset="digits", seed=0, method=["vanilla", "ews"], overrides={"methods.ews.width": widths})
    cells = plan(params, "mine")
    assert [entry.label.method for entry in cells] == ["vanilla", *(f"ews, width={width}" for width in widths)]
    # The default value keeps the plain name, so that other studies share the training run.
    assert cells[-1].run == "digits/resnet8_thin/standard/ews/seed0"


def test_two_sweeps_are_crossed(with_study: AddStudy) -> None:
    sweeps = {"methods.ews.width": [0.3, 0.5], "methods.ews.weight": [0.1, 10.0]}
    cells = plan(with_study(dataset="digits", seed=0, method="ews", overrides=sweeps), "mine")
    values = {(flat["ews.width"], flat["ews.weight"]) for flat in (flatten(entry.cell) for entry in cells)}
    assert values == set(itertools.product([0.3, 0.5], [0.1, 10.0]))


def test_a_value_that_is_a_list_is_one_value(with_study: AddStudy) -> None:
    path = "recipes.digits.standard.milestones"
    one = plan(with_study(dataset="digits", seed=0, method="vanilla", overrides={path: [0.5, 0.8]}), "mine")
    assert [entry.cell.recipe.milestones for entry in one] == [(0.5, 0.8)]
    two = plan(with_study(dataset="digits", seed=0, method="vanilla", overrides={path: [[0.5], [0.8]]}), "mine")
    assert [entry.cell.recipe.milestones for entry in two] == [(0.5,), (0.8,)]


def test_cells_that_two_studies_share_are_planned_once(params: Params, with_study: AddStudy) -> None:
    shared = with_study(dataset="digits", method="ews")
    assert all_cells(shared).keys() == all_cells(params).keys()


def test_other_evaluation_settings_share_the_training(with_study: AddStudy) -> None:
    params = with_study(dataset="digits", seed=0, method="vanilla", overrides={"evaluation.test_images": [None, 100]})
    full, subset = plan(params, "mine")
    assert full.run == subset.run
    assert (full.evaluation, subset.evaluation) == ("", "evaluation--test_images-100")
    assert subset.settings.test_images == 100


def test_whether_images_are_stored_is_no_part_of_an_evaluation(with_study: AddStudy) -> None:
    path = "evaluation.corruption.stored"
    params = with_study(dataset="digits", method="vanilla", overrides={path: False})
    shipped, made = plan(params, "quickstart"), plan(params, "mine")
    assert [entry.results for entry in made] == [entry.results for entry in shipped[:3]]
    assert [entry.asked for entry in made] == [entry.asked for entry in shipped[:3]]
    assert {entry.stored for entry in shipped} == {True} and {entry.stored for entry in made} == {False}
    # One evaluation has one way: of two studies that share it, the one that stores nothing decides.
    ways = {results: entry.stored for results, entry in all_cells(params).items()}
    assert [results for results, stored in ways.items() if not stored] == [entry.results for entry in made]


def test_published_images_are_always_stored(with_study: AddStudy, raw: dict[str, Any]) -> None:
    raw["evaluation"]["corruption"]["stored"] = False
    source = "datasets.cifar10.corrupted.source"
    params = with_study(dataset="cifar10", method="vanilla", seed=0, overrides={source: ["generated", "official"]})
    assert [entry.stored for entry in plan(params, "mine")] == [False, True]


def test_official_images_share_the_training_and_have_results_of_their_own(with_study: AddStudy) -> None:
    source = "datasets.cifar10.corrupted.source"
    params = with_study(dataset="cifar10", seed=0, method="vanilla", overrides={source: ["generated", "official"]})
    generated, official = plan(params, "mine")
    assert generated.run == official.run
    assert (generated.evaluation, official.evaluation) == ("", "evaluation--corrupted.source-official")
    assert generated.label != official.label
    entries = manifest(params, "mine").entries
    assert [entry.corrupted.source for entry in entries] == ["generated", "official"]
    for entry, planned in zip(entries, (generated, official), strict=True):
        assert entry.options("corruption") == planned.options("corruption")


def test_official_images_are_told_apart_even_as_the_default(raw: dict[str, Any]) -> None:
    raw["datasets"]["cifar10"]["corrupted"]["source"] = "official"
    raw["evaluation"]["test_images"] = 100  # a default, which names no folder
    entries = plan(validate(raw), "table1")
    assert {(entry.cell.dataset, entry.evaluation) for entry in entries} == {
        ("cifar10", "evaluation--corrupted.source-official"),
        ("cifar100", ""),
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"methods.ews.width": 2}, r"studies\.mine\.overrides: methods\.ews\.width = 2"),
        ({"methods.ews.depth": 2}, r"'methods\.ews\.depth': no such key\. .*Valid below methods\.ews: width"),
        ({"methods.sgd.rho": 2}, r"no key 'methods\.sgd'"),
        ({"methods.ews.width": [0.3, 0.3]}, r"methods\.ews\.width: a value stands twice"),
        ({"evaluation.corruption.names": [["fog"], ["snow"]]}, r"one list of corruptions"),
        ({"evaluation.corruption.stored": [True, False]}, r"changes no result"),
        ({"methods.ews.width": []}, r"methods\.ews\.width: an empty list"),
        ({"datasets.digits.validation": 0.2}, r"cannot be overridden.*another dataset"),
        ({"datasets.digits.corrupted.seed": 1}, r"cannot be overridden.*datasets\.<name>\.corrupted\.source"),
        (
            {"datasets.digits.corrupted.source": "official"},
            r"sources cifar10 and cifar100 .*'digits'",
        ),
        ({"datasets.cifar10.corrupted.source": "official"}, r"changes no cell"),
        ({"recipes.cifar10.standard.epochs": 2}, r"changes no cell"),
        ({"recipes.digits": 2}, r"studies\.mine\.overrides: recipes\.digits is a section"),
    ],
)
def test_a_wrong_override_is_named(with_study: AddStudy, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        plan(with_study(dataset="digits", method="ews", overrides=overrides), "mine")


def test_cells_that_differ_never_share_a_folder(raw: dict[str, Any]) -> None:
    """Random overrides of every leaf: as many folders as distinct cells, all within the naming rules."""
    draw = random.Random(0)
    leaves = {
        "methods.ews.width": [0.1, 0.5, 0.7, 0.70000001],
        "methods.ews.weight": [0.0, 0.001, 1.0, 10.0],
        "methods.ews.rounding": ["ceil", "expected"],
        "methods.ews.betas": [[0.5, 0.999], [0.9, 0.999]],
        "methods.ews.gradient_clip": [3.0, 30.0],
        "methods.dropout.rate": [0.3, 0.25],
        "methods.dropout.place": ["residual", "hidden", "block"],
        "recipes.digits.standard.epochs": [1, 12],
        "recipes.digits.standard.train_images": [None, 500],
        "recipes.digits.standard.gradient_clip": [None, 3.0],
        "recipes.digits.standard.milestones": [[], [0.5], [0.5, 0.75]],
        "augmentations.augmix.severity": [1.0, 3.0],
        "architectures.resnet8_thin.width": [8, 16],
        "architectures.resnet8_thin.init": ["torch", "he"],
        "architectures.resnet8_thin.activation": ["relu", "softplus"],
        "architectures.resnet8_thin.softplus_beta": [1.0, 10.0],
        "architectures.resnet8_thin.normalise": [True, False],
    }
    for number in range(40):
        chosen = draw.sample(sorted(leaves), k=draw.randint(1, len(leaves)))
        raw["studies"][f"random{number}"] = {
            "dataset": "digits",
            "augmentation": ["standard", "augmix"],
            "method": ["vanilla", "dropout", "ews", "dropout+ews"],
            "seed": [0, 1],
            "overrides": {path: [draw.choice(leaves[path])] for path in chosen},
        }
    params = validate(raw)
    folders: dict[str, str] = {}
    cells: dict[str, str] = {}
    for number in range(40):
        try:
            planned = plan(params, f"random{number}")
        except EwsError as error:
            assert "changes no cell" in str(error)
            continue
        for entry in planned:
            content = canonical(entry.cell)
            assert folders.setdefault(entry.run, content) == content
            assert cells.setdefault(content, entry.run) == entry.run
            assert re.fullmatch(r"[a-z0-9._-]+", entry.run.split("/")[3])
            assert len(entry.run.split("/")[3]) <= LONGEST
    assert len(folders) > 100


def test_values_that_are_almost_alike_have_folders_of_their_own(with_study: AddStudy) -> None:
    widths = [0.3, 0.3000000000001, 0.7000000000000001]
    cells = plan(with_study(dataset="digits", seed=0, method="ews", overrides={"methods.ews.width": widths}), "mine")
    assert len({entry.run for entry in cells}) == 3
    assert [entry.differs for entry in cells] == [{"ews.width": width} for width in widths]


def test_long_or_unspeakable_names_become_a_hash() -> None:
    long = {f"ews.parameter{number}": 0.123456 for number in range(9)}
    assert re.fullmatch(r"ews--[0-9a-f]{12}", tagged("ews", long))
    assert tagged("ews", long) != tagged("ews", {**long, "ews.parameter0": 0.123457})
    assert re.fullmatch(r"ews--[0-9a-f]{12}", tagged("ews", {"ews.policy": "Upper Case"}))


def test_a_manifest_names_every_cell(params: Params) -> None:
    content = manifest(params, "cifar10_small")
    assert len(content.entries) == 9
    assert {asked.options.test_images for entry in content.entries for asked in entry.asked} == {2000}
    assert {entry.evaluation for entry in content.entries} == {"evaluation--test_images-2000"}
    assert {entry.label.method for entry in content.entries} == {"vanilla", "dropout", "ews"}


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path, params: Params) -> None:
    content = manifest(params, "comparison_adversarial_digits")
    write_document(tmp_path / "study.json", content)
    assert read_document(tmp_path / "study.json", Manifest, remedy="") == content


def test_awnet_is_a_network_with_a_router_and_two_teachers(with_study: AddStudy) -> None:
    sweep = {"methods.awnet.extractor": [[16, 32, 64], [8, 16]]}
    params = with_study(dataset="digits", architecture="wrn10_1", seed=[2], method=["at", "awnet"], overrides=sweep)
    at, usual, small = plan(params, "mine")
    assert at.cell.architecture.dynamic is None
    assert usual.cell.architecture.dynamic_parameters == AwnetNetwork(extractor=(16, 32, 64))
    assert usual.run == "digits/wrn10_1/standard/awnet/seed2"
    assert small.run == "digits/wrn10_1/standard/awnet--architecture.dynamic.extractor-8-16/seed2"
    assert small.label.method == "awnet, extractor=8-16"
    assert small.differs == {"architecture.dynamic.extractor": [8, 16]}
    assert not hasattr(usual.cell.method.parameters["awnet"], "extractor")
    teachers = {role: (entry.run, entry.weights) for role, entry in usual.cell.teachers.items()}
    assert teachers == {
        "clean": ("digits/wrn10_1/standard/vanilla/seed2", "last"),
        "robust": ("digits/wrn10_1/standard/trades/seed2", "best"),
    }
    assert usual.teachers.keys() == {run for run, _ in teachers.values()}
    assert all(cell.architecture.dynamic is None for cell in usual.teachers.values())
    assert usual.cell.recipe == at.cell.recipe


def test_the_adaptive_attack_is_planned_for_networks_with_a_router_alone(with_study: AddStudy) -> None:
    study = {"dataset": "digits", "seed": 0, "evaluations": ["clean", "adaptive"]}
    params = with_study(**study, method=["at", "awnet"], overrides={"evaluation.adaptive.restarts": 2})
    at, awnet = plan(params, "mine")
    assert [[asked.kind for asked in entry.asked] for entry in (at, awnet)] == [["clean"], ["clean", "adaptive"]]
    (_, entry) = manifest(params, "mine").entries
    assert entry.options("adaptive") == AdaptiveOptions(
        **{"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 20},
        **{"weights": (0.1, 1.0, 10.0), "restarts": 2, "batch_size": 250},
    )
    with pytest.raises(EwsError, match=r"studies\.mine\.evaluations: 'adaptive' deceives a router.*awnet"):
        plan(with_study(**study, method=["at"]), "mine")
    with pytest.raises(EwsError, match="one adversary"):
        plan(with_study(**study, method=["awnet"], overrides={"evaluation.adaptive.restarts": [1, 2]}), "mine")
