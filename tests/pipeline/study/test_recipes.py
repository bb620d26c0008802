"""A study may train some or all of its methods under a recipe that it names."""

from collections.abc import Callable
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.corruptions import NAMES
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionOptions
from ews.pipeline.study.cells import merged, plan
from ews.pipeline.study.params import validate
from ews.pipeline.study.schema import Params

AddStudy = Callable[..., Params]


@pytest.fixture
def slow(raw: dict[str, Any]) -> None:
    """Add a recipe to that of digits."""
    raw["recipes"]["digits"]["slow"] = {**raw["recipes"]["digits"]["standard"], "epochs": 50, "weight_decay": 0.01}


pytestmark = pytest.mark.usefixtures("slow")


def test_one_method_has_a_recipe_of_its_own(with_study: AddStudy) -> None:
    params = with_study(dataset="digits", seed=0, method=["vanilla", "damp"], recipe={"damp": "slow"})
    vanilla, damp = plan(params, "mine")
    assert (vanilla.run, vanilla.label.method) == ("digits/resnet8_thin/standard/vanilla/seed0", "vanilla")
    assert (damp.run, damp.label.method) == (
        "digits/resnet8_thin/standard/damp--recipe-slow/seed0",
        "damp, recipe=slow",
    )
    assert vanilla.cell.recipe == params.recipes["digits"].get("standard")
    assert damp.cell.recipe == params.recipes["digits"].get("slow")
    assert damp.differs == {"recipe": "slow"} and not vanilla.differs
    # The run of the study that is shipped, not one more.
    assert merged({"mine": plan(params, "mine"), "quickstart": plan(params, "quickstart")})[vanilla.run].cell


def test_one_name_is_of_all_methods_and_then_of_no_row_s_name(with_study: AddStudy) -> None:
    cells = plan(with_study(dataset="digits", seed=0, method=["vanilla", "damp", "at"], recipe="slow"), "mine")
    assert [entry.run.split("/")[3] for entry in cells] == [
        f"{name}--recipe-slow" for name in ("vanilla", "damp", "at")
    ]
    assert [entry.label.method for entry in cells] == ["vanilla", "damp", "at"]
    assert {entry.cell.recipe.epochs for entry in cells} == {50}


def test_a_recipe_that_all_rows_have_is_in_no_row_s_name_however_it_is_given(with_study: AddStudy) -> None:
    study = {"dataset": "digits", "seed": 0}
    alike = plan(with_study(**study, method=["vanilla", "ews"], recipe={"ews": "standard"}), "mine")
    assert [entry.label.method for entry in alike] == ["vanilla", "ews"]
    # Adversarial training has another one of itself.
    other = plan(with_study(**study, method=["at", "ews"], recipe={"ews": "standard"}), "mine")
    assert [entry.label.method for entry in other] == ["at", "ews, recipe=standard"]
    same = plan(with_study(**study, method=["at", "ews"], recipe={"ews": "adversarial"}), "mine")
    assert [entry.label.method for entry in same] == ["at", "ews"]


@pytest.mark.parametrize(("method", "kind"), [("vanilla", "standard"), ("at", "adversarial")])
def test_the_recipe_of_a_method_s_kind_is_the_usual_cell(with_study: AddStudy, method: str, kind: str) -> None:
    (named,) = plan(with_study(dataset="digits", seed=0, method=method, recipe=kind), "mine")
    (usual,) = plan(with_study(dataset="digits", seed=0, method=method), "mine")
    assert (named.run, named.cell, named.differs) == (usual.run, usual.cell, {})


def test_overrides_change_the_recipe_that_is_used(with_study: AddStudy) -> None:
    study = {"dataset": "digits", "seed": 0, "method": ["vanilla", "damp"], "recipe": {"damp": "slow"}}
    _, five, six = plan(with_study(**study, overrides={"recipes.digits.slow.epochs": [5, 6]}), "mine")
    assert (five.run, five.label.method) == (
        "digits/resnet8_thin/standard/damp--recipe-slow--recipe.epochs-5/seed0",
        "damp, recipe=slow, epochs=5",
    )
    assert (five.cell.recipe.epochs, six.cell.recipe.epochs) == (5, 6)
    vanilla, damp = plan(with_study(**study, overrides={"recipes.digits.standard.epochs": 7}), "mine")
    assert (vanilla.cell.recipe.epochs, damp.cell.recipe.epochs) == (7, 50)
    unused = with_study(**{**study, "recipe": "slow"}, overrides={"recipes.digits.standard.epochs": 7})
    with pytest.raises(EwsError, match=r"'recipes\.digits\.standard\.epochs' changes no cell"):
        plan(unused, "mine")


def test_a_teacher_is_trained_under_the_recipe_of_its_own_method(with_study: AddStudy) -> None:
    study = {"dataset": "digits", "architecture": "wrn10_1", "seed": 0, "method": "mixacm"}
    (taught,) = plan(with_study(**study, recipe={"at": "slow"}), "mine")
    assert taught.run == "digits/wrn10_1/standard/mixacm--mixacm.teachers.robust.recipe-slow/seed0"
    ((run, teacher),) = taught.teachers.items()
    assert run == "digits/wrn10_1/standard/at--recipe-slow/seed0" and teacher.recipe.epochs == 50
    assert taught.cell.recipe.epochs == 15 and taught.label.method == "mixacm"
    (student,) = plan(with_study(**study, recipe="slow"), "mine")
    assert student.run == "digits/wrn10_1/standard/mixacm--recipe-slow/seed0"
    assert [cell.recipe.epochs for cell in student.teachers.values()] == [15]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"damp": "fast"}, r"studies\.mine\.recipe: below recipes\.digits.*'fast'.*adversarial, slow, standard"),
        ("fast", r"studies\.mine\.recipe: below recipes\.digits.*'fast'"),
        ({"dump": "slow"}, r"studies\.mine\.recipe.*'dump'"),
        ({"ews": "slow"}, r"studies\.mine\.recipe: no cell is trained by 'ews'; valid: damp, vanilla"),
        ({"damp": 3}, r"studies\.mine\.recipe\.damp = 3"),
        *(
            (value, rf"studies\.mine\.recipe = {text}: give the name of a recipe .* or a mapping from method to such")
            for value, text in ((3, "3"), (None, "None"), (["slow"], r"\['slow'\]"))
        ),
    ],
)
def test_a_recipe_that_is_none_is_named(with_study: AddStudy, recipe: Any, message: str) -> None:
    with pytest.raises(EwsError, match=message):
        plan(with_study(dataset="digits", method=["vanilla", "damp"], recipe=recipe), "mine")


def test_every_dataset_of_the_study_needs_the_recipe(with_study: AddStudy) -> None:
    with pytest.raises(EwsError, match=r"studies\.mine\.recipe: below recipes\.cifar10_jpeg.*'slow'"):
        with_study(dataset=["digits", "cifar10_jpeg"], method="vanilla", recipe="slow")


def test_a_recipe_is_whole_and_well_named(raw: dict[str, Any]) -> None:
    del raw["recipes"]["digits"]["slow"]["gamma"]
    raw["recipes"]["digits"]["Fast one"] = raw["recipes"]["digits"]["standard"]
    with pytest.raises(EwsError, match=r"(?s)recipes\.digits\.slow\.gamma: missing.*Fast one"):
        validate(raw)


@pytest.mark.parametrize("name", ["names", "get", "of", "copy", "model_dump", "model_fields"])
def test_a_recipe_may_be_called_like_an_attribute_of_a_class(
    raw: dict[str, Any], with_study: AddStudy, name: str
) -> None:
    raw["recipes"]["digits"][name] = raw["recipes"]["digits"]["slow"]
    # A list of one value per key tells a sweep from a value by what stands there now.
    overrides = {f"recipes.digits.{name}.milestones": [0.2, 0.4]}
    params = with_study(dataset="digits", seed=0, method="vanilla", recipe=name, overrides=overrides)
    (entry,) = plan(params, "mine")
    assert (entry.cell.recipe.epochs, entry.cell.recipe.milestones) == (50, (0.2, 0.4))
    assert set(params.recipes["digits"].names) == {"standard", "adversarial", "slow", name}


@pytest.mark.parametrize("name", ["names", "get"])
def test_a_recipe_that_is_called_like_an_attribute_need_not_exist(with_study: AddStudy, name: str) -> None:
    with pytest.raises(EwsError, match=rf"unknown recipe '{name}'\. .*Valid: adversarial, slow, standard"):
        with_study(dataset="digits", method="vanilla", recipe=name)


def test_a_recipe_s_name_has_no_dots(raw: dict[str, Any]) -> None:
    raw["recipes"]["digits"]["slow.2"] = raw["recipes"]["digits"]["slow"]
    with pytest.raises(EwsError, match=r"recipes\.digits\.slow\.2.*a recipe's name has no dots.*valid: lower-case"):
        validate(raw)


def test_a_linear_schedule_is_checked_where_it_is_overridden(with_study: AddStudy) -> None:
    overrides = {"recipes.digits.standard.schedule": "linear"}
    params = with_study(dataset="digits", method="vanilla", overrides=overrides)
    with pytest.raises(
        EwsError, match=r"studies\.mine\.overrides: recipes\.digits\.standard.*two different milestones"
    ):
        plan(params, "mine")
    overrides["recipes.digits.standard.milestones"] = [0.5, 0.9]  # type: ignore[assignment]
    cells = plan(with_study(dataset="digits", method="vanilla", overrides=overrides), "mine")
    assert {entry.cell.recipe.milestones for entry in cells} == {(0.5, 0.9)}


def test_damp_s_study_has_its_recipe_and_its_corruptions(params: Params) -> None:
    cells = plan(params, "comparison_corruption_own")
    assert {entry.cell.method.name for entry in cells} == {"vanilla", "damp", "sam", "asam"}
    for entry in cells:
        recipe = entry.cell.recipe
        assert (recipe.epochs, recipe.batch_size, recipe.weight_decay, recipe.warmup_epochs) == (300, 128, 5e-4, 0)
        assert (recipe.learning_rate, recipe.momentum, recipe.nesterov, recipe.gradient_clip) == (0.1, 0.9, True, None)
        assert (recipe.schedule, recipe.milestones, recipe.gamma) == ("linear", (0.5, 0.9), 0.01)
        assert "recipe-damp" in entry.run and entry.evaluation
        options = entry.options("corruption")
        assert isinstance(options, CorruptionOptions) and set(options.names) == set(NAMES)
