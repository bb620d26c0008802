"""Overrides: values of one study are checked together, by single keys, of what the study depends on."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cells import plan
from ews.pipeline.study.schema import Params

AddStudy = Callable[..., Params]
LINEAR = {"recipes.digits.standard.schedule": "linear"}
MILESTONES = "recipes.digits.standard.milestones"


def planned(with_study: AddStudy, **keys: Any) -> Any:
    return plan(with_study(**{"dataset": "digits", "seed": 0, "method": ["vanilla", "ews"], **keys}), "mine")


def test_a_variant_may_complete_what_overrides_begin(with_study: AddStudy) -> None:
    variants = {"early": {MILESTONES: [0.3, 0.9]}, "late": {MILESTONES: [0.5, 0.9]}}
    cells = planned(with_study, method="vanilla", overrides=LINEAR, variants=variants)
    found = [(entry.label.method, entry.cell.recipe.schedule, entry.cell.recipe.milestones) for entry in cells]
    assert found == [("vanilla, early", "linear", (0.3, 0.9)), ("vanilla, late", "linear", (0.5, 0.9))]


@pytest.mark.parametrize(
    ("variant", "messages"),
    [
        ({}, [r"overrides: recipes\.digits\.standard: schedule: linear needs two different milestones, .* not \[\]\."]),
        ({MILESTONES: [0.5]}, [r"variants\.a: recipes\.digits\.standard: schedule: linear needs .* not \[0\.5\]\."]),
        (
            {"methods.ews.weight": -1.0, MILESTONES: [0.5, 0.9]},
            [r"variants\.a: methods\.ews\.weight = -1\.0: .*", r"overrides: methods\.ews\.width = 3: .*"],
        ),
    ],
)
def test_mistakes_are_told_of_where_they_stand_and_without_the_rest_of_a_section(
    with_study: AddStudy, variant: dict[str, Any], messages: list[str]
) -> None:
    overrides = {**LINEAR, "methods.ews.width": 3} if len(messages) > 1 else LINEAR
    with pytest.raises(EwsError) as caught:
        planned(with_study, overrides=overrides, variants={"a": variant})
    lines = sorted(str(caught.value).splitlines(), reverse=True)
    assert len(lines) == len(messages) and "label_smoothing" not in str(caught.value)
    for line, message in zip(lines, messages, strict=True):
        assert re.fullmatch(rf"params\.yaml: studies\.mine\.{message}", line), line


@pytest.mark.parametrize("place", ["overrides", "variants.a"])
def test_an_unknown_teacher_is_told_of_where_it_stands(with_study: AddStudy, place: str) -> None:
    teacher = {"methods.mixacm.teachers.robust.method": "nothing"}
    given = {"overrides": teacher} if place == "overrides" else {"overrides": LINEAR, "variants": {"a": teacher}}
    if place != "overrides":
        given["overrides"] = {"methods.mixacm.mixup": 0.5}
    with pytest.raises(EwsError, match=rf"studies\.mine\.{place}: methods\.mixacm\.teachers.*'nothing'"):
        planned(with_study, method="mixacm", **given)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("methods.ews", {"width": 0.3}, "methods.ews.width, methods.ews.rounding, "),
        ("methods.ews", [{"width": 0.3}, {"width": 0.5}], "methods.ews.width, "),
        ("methods.awp.at", {"gamma": 0.1}, "methods.awp.at.gamma, methods.awp.at.warmup_epochs."),
        ("methods.mixacm.teachers", {}, "methods.mixacm.teachers.robust.method, "),
        ("recipes.digits.standard", {"epochs": 3}, "recipes.digits.standard.epochs, "),
        ("recipes.digits", 3, "recipes.digits.standard.epochs, "),
        ("architectures.resnet8", None, "architectures.resnet8.network, "),
        ("evaluation.corruption", {"names": ["fog"]}, "evaluation.corruption.stored, evaluation.corruption.names, "),
    ],
)
def test_whole_sections_are_no_values(with_study: AddStudy, path: str, value: Any, named: str) -> None:
    message = rf"studies\.mine\.overrides: {re.escape(path)} is a section, and single keys .*: {re.escape(named)}"
    with pytest.raises(EwsError, match=message):
        planned(with_study, overrides={path: value})


def test_a_section_that_is_not_there_cannot_be_put_there(raw: dict[str, Any], with_study: AddStudy) -> None:
    recipe = raw["recipes"]["digits"].pop("adversarial")
    with pytest.raises(EwsError, match=r"overrides: recipes\.digits\.adversarial is null .*adversarial\.<key>"):
        planned(with_study, overrides={"recipes.digits.adversarial": recipe})


@pytest.mark.parametrize(
    ("path", "value", "asked"),
    [
        ("evaluation.mimicry.steps", 1, ["clean", "corruption"]),
        ("evaluation.adversarial.steps", 30, ["clean"]),
        ("evaluation.corruption.names", ["fog"], ["clean", "perturbation"]),
        ("evaluation.corruption.stored", False, ["clean"]),
    ],
)
def test_an_evaluation_that_is_not_asked_for_cannot_be_overridden(
    with_study: AddStudy, path: str, value: Any, asked: list[str]
) -> None:
    kind = path.split(".")[1]
    message = rf"studies\.mine\.overrides: '{path}': .* asks for {', '.join(asked)}, .*Add {kind} to studies\.mine\."
    with pytest.raises(EwsError, match=message):
        planned(with_study, evaluations=asked, overrides={path: value})
    (vanilla, _) = planned(with_study, evaluations=[*asked, kind], overrides={path: value})
    assert kind in [one.kind for one in vanilla.asked]


@pytest.mark.parametrize(
    ("path", "value", "asked"),
    [
        ("evaluation.test_images", 100, ["clean"]),
        ("evaluation.corruption.names", ["fog"], ["clean", "mimicry"]),
        ("evaluation.adversarial.epsilon", "4/255", ["clean", "adaptive"]),
    ],
)
def test_what_an_evaluation_takes_from_another_one_s_section_can_be(
    with_study: AddStudy, path: str, value: Any, asked: list[str]
) -> None:
    usual, changed = (
        planned(with_study, method="awnet", evaluations=asked, overrides=overrides)[0]
        for overrides in ({}, {path: value})
    )
    kind = asked[-1]
    assert kind in EVALUATIONS and changed.options(kind) != usual.options(kind)
