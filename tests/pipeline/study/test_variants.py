"""Variants of a study: combinations of values that no product of sweeps has; and what else studies may set."""

from collections.abc import Callable
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.corruptions import BENCHMARK, NAMES
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.study.cells import manifest, plan
from ews.pipeline.study.flat import flatten
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params

AddStudy = Callable[..., Params]
NARROW = {"methods.ews.width": 0.5, "methods.ews.weight": 2.0}
WIDE = {"methods.ews.width": 0.9, "methods.ews.interval": 5}


def test_mixacm_s_ablation_is_its_paper_s(params: Params) -> None:
    for study in ("mixacm_ablation", "mixacm_ablation_digits"):
        cells = [entry for entry in plan(params, study) if entry.cell.seed == 0]
        found = {}
        for entry in cells[1:]:
            flat = flatten(entry.cell)
            name = entry.label.method.removeprefix("mixacm, ")
            found[name] = tuple(flat[f"mixacm.{key}"] for key in ("acm_weight", "soft_weight", "mixup"))
        assert cells[0].label.method == "at" and len(cells) == 6
        assert found == {
            "maps": (50.0, 0.0, 0.0),
            "maps_soft": (50.0, 0.5, 0.0),
            "maps_mixup": (50.0, 0.0, 1.0),
            "maps_soft_mixup": (50.0, 0.5, 1.0),
            "soft": (0.0, 0.5, 0.0),
        }
        assert len({entry.run for entry in cells}) == 6
        # All learn from the row `at`.
        assert {teacher.run for entry in cells for teacher in entry.cell.teachers.values()} == {cells[0].run}
    # The whole method is the run of the comparison.
    shared = {entry.run for entry in plan(params, "comparison_adversarial")}
    assert {
        entry.run for entry in plan(params, "mixacm_ablation") if entry.label.method.endswith("soft_mixup")
    } <= shared


def test_a_variant_multiplies_only_the_cells_it_touches(with_study: AddStudy) -> None:
    variants = {"narrow": NARROW, "wide": WIDE, "plain": {}}
    params = with_study(dataset="digits", seed=0, method=["vanilla", "ews"], variants=variants)
    cells = plan(params, "mine")
    assert [entry.label.method for entry in cells] == ["vanilla", "ews, narrow", "ews, wide", "ews"]
    values = [{key: flatten(e.cell)[f"ews.{key}"] for key in ("width", "weight", "interval")} for e in cells[1:]]
    assert values == [
        {"width": 0.5, "weight": 2.0, "interval": 10},
        {"width": 0.9, "weight": 1.0, "interval": 5},
        {"width": 0.7, "weight": 1.0, "interval": 10},
    ]
    assert cells[3].run == "digits/resnet8_thin/standard/ews/seed0"
    assert manifest(params, "mine").variants == variants


def test_variants_are_crossed_with_sweeps_and_take_lists_as_values(with_study: AddStudy) -> None:
    params = with_study(
        dataset="digits",
        seed=0,
        method="ews",
        overrides={"methods.ews.samples": [1, 2]},
        variants={"early": {"methods.ews.betas": [0.5, 0.9]}, "late": {"methods.ews.betas": [0.9, 0.99]}},
    )
    assert [(entry.label.method, flatten(entry.cell)["ews.betas"]) for entry in plan(params, "mine")] == [
        ("ews, early, samples=1", [0.5, 0.9]),
        ("ews, early, samples=2", [0.5, 0.9]),
        ("ews, late, samples=1", [0.9, 0.99]),
        ("ews, late, samples=2", [0.9, 0.99]),
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"variants": {"a": {"methods.ews.depth": 2}}},
            r"studies\.mine\.variants\.a: 'methods\.ews\.depth': no such key",
        ),
        ({"variants": {"a": {"methods.ews.width": 2}}}, r"studies\.mine\.variants\.a: methods\.ews\.width = 2"),
        ({"variants": {"a": {"methods.ews.width": [0.3, 0.5]}}}, r"variants\.a: methods\.ews\.width = \[0\.3, 0\.5\]"),
        ({"variants": {"a": {"methods.damp.sigma": 0.1}}}, r"variants\.a: 'methods\.damp\.sigma' changes no cell"),
        ({"variants": {"a": {"seeds": [1]}}}, r"variants\.a: 'seeds' cannot be overridden"),
        (
            {"variants": {"a": {"evaluation.test_images": 10}}},
            r"variants\.a: .*measured alike; write it under overrides",
        ),
        (
            {"variants": {"a": NARROW}, "overrides": {"methods.ews.width": 0.3}},
            r"variants\.a: 'methods\.ews\.width' stands under overrides too",
        ),
        ({"variants": {"a": NARROW, "b": NARROW}}, r"the rows 'ews, a' and 'ews, b' are the same training"),
        (
            {"variants": {"a": {}, "b": {"methods.ews.width": 0.7}}},
            r"the rows 'ews' and 'ews, b' are the same training",
        ),
        ({"variants": {"Not a name": NARROW}}, r"studies\.mine\.variants\.Not a name"),
        (
            {"variants": {"dropout": NARROW}},
            r"studies\.mine\.variants: a variant cannot be called 'dropout': .* any but vanilla, .*dropout, at, ",
        ),
        ({"variants": {"vanilla": NARROW}}, r"a variant cannot be called 'vanilla'"),
    ],
)
def test_a_wrong_variant_is_named(with_study: AddStudy, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        plan(with_study(dataset="digits", method=["vanilla", "ews"], **keys), "mine")


def test_the_crop_can_be_overridden(with_study: AddStudy) -> None:
    path = "datasets.digits.standard.padding"
    params = with_study(dataset="digits", seed=0, method="vanilla", overrides={path: [0, 4]})
    none, usual = plan(params, "mine")
    assert (none.cell.augmentation.crop.padding, usual.cell.augmentation.crop.padding) == (0, 4)
    assert (none.run, none.label.method) == (
        "digits/resnet8_thin/standard/vanilla--crop.padding-0/seed0",
        "vanilla, padding=0",
    )
    assert usual.run == "digits/resnet8_thin/standard/vanilla/seed0"
    assert none.evaluation == usual.evaluation == ""
    assert all_cells(params)[none.run].cell == none.cell


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"datasets.cifar10.standard.flip": False}, "changes no cell"),
        ({"datasets.digits.standard.padding": -1}, r"overrides: datasets\.digits\.standard\.padding = -1"),
        ({"datasets.digits.standard.colour": 1}, r"no such key. Valid below datasets\.digits\.standard: padding, flip"),
        ({"datasets.digits.standard": {"padding": 2, "flip": True}}, r"cannot be overridden.*standard\.<key>"),
    ],
)
def test_a_wrong_crop_is_named(with_study: AddStudy, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        plan(with_study(dataset="digits", method="vanilla", overrides=overrides), "mine")


def test_other_corruptions_share_the_training_and_have_results_of_their_own(with_study: AddStudy) -> None:
    """A list of names is one value: the corruptions of all of the study's cells."""
    lists = {"all": list(NAMES), "two": ["fog", "snow"], "the fifteen": list(BENCHMARK)}
    found = {}
    for name, names in lists.items():
        params = with_study(
            dataset="digits", seed=0, method="vanilla", overrides={"evaluation.corruption.names": names}
        )
        (entry,) = plan(params, "mine")
        options = entry.options("corruption")
        assert isinstance(options, CorruptionOptions) and list(options.names) == names
        assert entry.label.method == "vanilla"
        found[name] = (entry.run, entry.evaluation)
    assert {run for run, _ in found.values()} == {"digits/resnet8_thin/standard/vanilla/seed0"}
    assert found["two"][1] == "evaluation--corruption.names-fog-snow" and found["the fifteen"][1] == ""
    assert len({evaluation for _, evaluation in found.values()}) == 3
    (entry,) = plan(with_study(dataset="digits", seed=0, method="vanilla"), "mine")
    assert (entry.run, entry.evaluation) == found["the fifteen"]


def test_a_variant_of_one_method_stands_beside_the_usual_rows(with_study: AddStudy) -> None:
    epochs = "recipes.digits.standard.epochs"
    params = with_study(
        dataset="digits",
        seed=[0, 1],
        method=["vanilla", "dropout", "ews"],
        overrides={epochs: 3},
        variants={
            "twice": {"method": "vanilla", epochs: 6},
            "narrow": {"method": ["ews"], **NARROW},
        },
    )
    cells = [entry for entry in plan(params, "mine") if entry.cell.seed == 0]
    found = [(entry.label.method, entry.cell.recipe.epochs, flatten(entry.cell).get("ews.width")) for entry in cells]
    assert found == [
        ("vanilla", 3, None),
        ("vanilla, twice", 6, None),
        ("dropout", 3, None),
        ("ews", 3, 0.7),
        ("ews, narrow", 3, 0.5),
    ]
    assert manifest(params, "mine").variants == {"twice": {epochs: 6}, "narrow": NARROW}


def test_beside_a_variant_of_all_methods_one_of_some_adds_rows_only_there(with_study: AddStudy) -> None:
    params = with_study(
        dataset="digits",
        seed=0,
        method=["vanilla", "ews"],
        variants={"wide": WIDE, "narrow": {"method": "ews", **NARROW}},
    )
    assert [entry.label.method for entry in plan(params, "mine")] == ["vanilla", "ews, wide", "ews, narrow"]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"method": "damp", "methods.damp.sigma": 0.1}, r"variants\.a\.method: unknown method 'damp'"),
        ({"method": "vanila"}, r"unknown method 'vanila'. Did you mean 'vanilla'"),
        ({"method": "vanilla", **NARROW}, r"variants\.a: 'methods\.ews\.width' changes no cell"),
        ({"method": []}, r"variants\.a\.method"),
    ],
)
def test_a_variant_of_a_method_that_is_not_there_is_named(
    with_study: AddStudy, variant: dict[str, Any], message: str
) -> None:
    with pytest.raises(EwsError, match=message):
        plan(with_study(dataset="digits", method=["vanilla", "ews"], variants={"a": variant}), "mine")
