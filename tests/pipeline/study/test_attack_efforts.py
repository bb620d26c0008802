"""Attacks that cannot reach their radius are refused when a study is planned; weak ones are told of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ews.attacks.effort import Effort
from ews.core.errors import EwsError
from ews.methods.method_registry import METHODS
from ews.pipeline.study.cells import plan
from ews.pipeline.study.plans import all_cells
from ews.pipeline.study.schema import Params
from ews.pipeline.study.study_command import main

SHIPPED = Path(__file__).parents[3] / "params.yaml"
LEVEL = 1 / 255


class Values(BaseModel):
    epsilon: float
    step_size: float
    steps: int


@pytest.mark.parametrize(
    ("epsilon", "step_size", "steps", "radii"),
    [(8, 2, 10, 2.5), (16, 2, 10, 1.25), (8, 2, 4, 1.0), (8, 1, 4, 0.5), (0, 1, 1, float("inf"))],
)
def test_the_reach_of_an_attack_in_radii(epsilon: float, step_size: float, steps: int, radii: float) -> None:
    values = Values(epsilon=epsilon * LEVEL, step_size=step_size * LEVEL, steps=steps)
    assert Effort().radii(values) == pytest.approx(radii)


def study(with_study: Callable[..., Params], method: str, **overrides: Any) -> Params:
    paths = {key.replace("__", "."): value for key, value in overrides.items()}
    return with_study(dataset="digits", method=method, evaluations=["clean", "adversarial"], overrides=paths)


MESSAGES = [
    (
        "at",
        {"methods__at__steps": 3},
        r"methods\.at: steps = 3 times step_size = 2/255 is 0\.75 times epsilon = 8/255: ",
    ),
    (
        "trades",
        {"methods__trades__epsilon": 0.1},
        r"methods\.trades: steps = 10 times step_size = 0\.007 is 0\.7 times",
    ),
    (
        "at",
        {"methods__at__validation_steps": 3},
        r"methods\.at: validation_steps = 3 times validation_step_size = 2/255",
    ),
    (
        "mixacm",
        {"methods__mixacm__validation_epsilon": "32/255"},
        r"methods\.mixacm: validation_steps = 10 times .* times validation_epsilon = 32/255",
    ),
    (
        "at",
        {"evaluation__adversarial__steps": 1},
        r"evaluation\.adversarial: steps = 1 times step_size = 2/255 is 0\.25",
    ),
    # What a teacher is trained by counts as well.
    ("mixacm", {"methods__at__steps": 1}, r"methods\.at: steps = 1 times"),
]


@pytest.mark.parametrize(("method", "overrides", "message"), MESSAGES)
def test_what_cannot_reach_its_radius_is_refused(
    with_study: Callable[..., Params], method: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(EwsError, match=rf"params\.yaml: {message}") as caught:
        plan(study(with_study, method, **overrides), "mine")
    assert "valid: a product of" in str(caught.value)


def test_a_reach_of_just_the_radius_and_an_evaluation_that_is_not_asked_for_are_allowed(
    raw: dict[str, Any], with_study: Callable[..., Params]
) -> None:
    # Seven steps of 7.9/255 / 7 in floating point.
    exact = {"methods__at__epsilon": 0.031, "methods__at__steps": 7, "methods__at__step_size": 0.031 / 7}
    assert plan(study(with_study, "at", **exact), "mine")
    raw["evaluation"]["adversarial"]["steps"] = 1
    assert plan(with_study(dataset="digits", method="vanilla", evaluations=["clean"]), "mine")


def test_every_method_that_attacks_says_so() -> None:
    """By the fields of its parameters: a radius of its own means an attack, and each of its keys exists."""
    for spec in METHODS.values():
        fields = spec.parameters.model_fields
        radii = {name for name in fields if name.endswith("epsilon")}
        assert {effort.epsilon for effort in spec.attacks} == radii, spec.name
        steps = {name for name in fields if name.endswith("step_size")}
        assert {effort.step_size for effort in spec.attacks} == steps, spec.name
        assert all(effort.steps in fields for effort in spec.attacks)


def test_check_tells_of_attacks_that_reach_less_than_two_radii(
    tmp_path: Path, raw: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    raw["studies"] = {
        "weak": {
            **{
                "dataset": "digits",
                "method": ["at", "mixacm"],
                "seed": [0, 1],
                "evaluations": ["clean", "adversarial"],
            },
            "overrides": {"methods.at.epsilon": "16/255", "evaluation.adversarial.epsilon": "30/255"},
        }
    }
    raw["reproduce"] = ["weak"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/sources.yaml").write_text((SHIPPED.parent / "data/sources.yaml").read_text(encoding="utf-8"))
    main(["--params", str(path), "check"])
    first, *told = capsys.readouterr().out.splitlines()
    assert ": valid; 1 studies, 4 different cells" in first
    assert [line.split("studies.weak: ")[1].split(" times ")[0] for line in told] == [
        "methods.at: steps = 10",
        "methods.at: validation_steps = 10",
        "evaluation.adversarial: steps = 20",
    ]
    assert "is 1.25 times epsilon = 16/255; from a random start the far side is 2 away." in told[0]


def test_the_shipped_attacks_reach_two_radii(
    params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHIPPED.parent)
    main(["check"])
    first, *told = capsys.readouterr().out.splitlines()
    assert ": valid; " in first and not [line for line in told if "the far side is 2 away" in line]
    # Where the radius is doubled, so is the step.
    for entry in all_cells(params).values():
        for component in entry.cell.method.components:
            for effort in METHODS[component.name].attacks:
                assert 2.2 < effort.radii(component.parameters) < 2.6
