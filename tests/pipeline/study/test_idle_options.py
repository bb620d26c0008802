"""`ews study check` tells of options that a study sets and that none of its rows uses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.pipeline.study.cells import plan, trainings
from ews.pipeline.study.idle_options import idle_options
from ews.pipeline.study.schema import Params
from ews.pipeline.study.study_command import main
from ews.subnets.search.policy_gradient import PolicyGradient
from ews.subnets.search.search_registry import SEARCHES

AddStudy = Callable[..., Params]
BETA, ACTIVATION = "architectures.resnet8_thin.softplus_beta", "architectures.resnet8_thin.activation"
FILL, PADDING = "datasets.digits.standard.fill", "datasets.digits.standard.padding"


def test_the_searches_that_learn_are_those_whose_classes_do() -> None:
    found = [name for name, spec in SEARCHES.items() if issubclass(spec.implementation(), PolicyGradient)]
    assert found == [name for name, spec in SEARCHES.items() if spec.learns]


# Overrides by which an option is idle, then those by which it is not.
OPTIONS = [
    ("methods.ews.entropy", ["selected", "draw"], "ews", {"methods.ews.search": "random"}, {}),
    (
        "methods.ews.entropy",
        "draw",
        "ews",
        {"methods.ews.search": ["random", "l1_norm"]},
        {"methods.ews.search": ["random", "bandit"]},
    ),
    (BETA, [1.0, 10.0], "vanilla", {}, {ACTIVATION: ["relu", "softplus"]}),
    (FILL, [0, 128], "vanilla", {PADDING: 0}, {PADDING: [0, 4]}),
]


@pytest.mark.parametrize(("path", "values", "method", "idle", "used"), OPTIONS)
def test_an_option_without_effect_is_told_of(
    with_study: AddStudy, path: str, values: Any, method: str, idle: dict[str, Any], used: dict[str, Any]
) -> None:
    def told(overrides: dict[str, Any], **keys: Any) -> list[str]:
        params = with_study(dataset="digits", seed=0, method=["vanilla", "ews"], overrides=overrides, **keys)
        return idle_options(params.studies["mine"], trainings(plan(params, "mine")).values())

    (line,) = told({path: values, **idle})
    assert line.startswith(f"overrides.{path} has no effect: ") and line.endswith("Leave it out.")
    assert told({path: values, **used}) == []
    value = values[1] if isinstance(values, list) else values
    (line,) = told(idle, variants={"a": {path: value}})
    assert line.startswith(f"variants.a.{path} has no effect: ")


def test_the_reward_is_that_of_subnets(with_study: AddStudy) -> None:
    overrides = {"methods.trades.reward_mode": ["train", "eval"]}
    for methods, count in ((["trades"], 1), (["trades", "at+ews"], 1), (["trades", "trades+ews"], 0)):
        params = with_study(dataset="digits", seed=0, method=methods, overrides=overrides)
        told = idle_options(params.studies["mine"], trainings(plan(params, "mine")).values())
        assert len(told) == count and all("no row has ews beside trades" in line for line in told)


def test_a_teacher_may_use_it(with_study: AddStudy) -> None:
    overrides = {"methods.trades.reward_mode": "train", "methods.mixacm.teachers.robust.method": "trades+ews"}
    params = with_study(dataset="digits", seed=0, method="mixacm", overrides=overrides)
    assert idle_options(params.studies["mine"], trainings(plan(params, "mine")).values()) == []


def test_check_tells_of_them(tmp_path: Path, raw: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    study = {"dataset": "digits", "method": "vanilla", "overrides": {BETA: [1.0, 2.0], FILL: 9, PADDING: 0}}
    raw |= {"studies": {"mine": study}, "reproduce": ["mine"]}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    main(["--params", str(path), "check"])
    first, *told = capsys.readouterr().out.splitlines()
    assert ": valid; 1 studies" in first
    assert [line.partition(" has no effect: ")[0] for line in told] == [
        f"{path}: studies.mine: overrides.{key}" for key in (BETA, FILL)
    ]
