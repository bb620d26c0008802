"""What components say about themselves agrees with params.yaml and with each other, and needs no torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.core.errors import EwsError
from ews.methods.component import Component
from ews.methods.dropout.dropout_spec import DropoutParameters
from ews.methods.ews.ews_spec import EwsParameters
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters
from ews.methods.mixacm.mixacm_spec import MixacmParameters
from ews.models.architecture_registry import DYNAMIC

PARAMS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
SECTIONS: dict[str, dict[str, Any]] = PARAMS["methods"]


def test_every_component_has_its_values_in_params() -> None:
    assert set(METHODS) == set(SECTIONS)


@pytest.mark.parametrize("name", METHODS)
def test_defaults_are_the_values_in_params(name: str) -> None:
    spec, section = METHODS[name], dict(SECTIONS[name])
    teachers = section.pop("teachers", {})
    assert set(teachers) == {role.role for role in spec.teachers}
    for role in spec.teachers:
        assert type(role.default).model_validate(teachers[role.role]) == role.default
    if spec.network is not None:
        chosen = {key: section.pop(key) for key in spec.network.model_fields}
        assert spec.network.model_validate(chosen) == spec.network()
        assert DYNAMIC[name].parameters is spec.network
    if spec.by_objective is not None:
        found = {objective: spec.parameters.model_validate(values) for objective, values in section.items()}
        assert found == dict(spec.by_objective)
    else:
        assert set(section) == set(spec.parameters.model_fields)
        assert spec.parameters.model_validate(section) == spec.parameters()


@pytest.mark.parametrize("name", METHODS)
def test_an_implementation_is_what_its_spec_says(name: str) -> None:
    spec = METHODS[name]
    built = spec.implementation()
    assert isinstance(built, type) and issubclass(built, Component)
    assert (built.name, built.kind) == (spec.name, spec.kind)


@pytest.mark.parametrize("name", METHODS)
def test_names_in_a_spec_are_those_of_components(name: str) -> None:
    spec = METHODS[name]
    objectives = {other.name for other in METHODS.values() if other.kind == "objective"}
    assert set(spec.excludes) <= set(METHODS) - {name}
    assert set(spec.by_objective or {}) <= objectives
    assert spec.needs is None or set(spec.needs.others) <= set(METHODS)
    assert spec.needs is None or spec.by_objective is None or set(spec.needs.others) == set(spec.by_objective)


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_has_a_description(name: str) -> None:
    for field in METHODS[name].parameters.model_fields.values():
        assert field.description


def test_a_component_is_found_by_its_parameters() -> None:
    assert METHODS.of(EwsParameters()) is METHODS["ews"]
    with pytest.raises(EwsError, match=r"Valid: .*EwsParameters"):
        METHODS.of(MethodParameters())


def test_what_a_mixture_has_no_labels_for_is_refused() -> None:
    conflicts = METHODS["mixacm"].conflicts
    assert conflicts is not None
    mixacm, labels = MixacmParameters(), EwsParameters(distillation="ce")
    assert conflicts({"mixacm": mixacm, "ews": EwsParameters()}) is None
    assert "methods.ews.distillation" in (conflicts({"mixacm": mixacm, "ews": labels}) or "")


def test_stages_count_from_the_last() -> None:
    assert METHODS["mixacm"].stages(MixacmParameters(stages=(-2, -1))) == 2
    assert METHODS["dropout"].stages(DropoutParameters()) == 0


def test_registries_bring_no_torch() -> None:
    modules = [
        "ews.augment.augmentation_registry",
        "ews.methods.method_registry",
        "ews.models.architecture_registry",
        "ews.subnets.search.search_registry",
    ]
    code = f"import json, sys\nimport {', '.join(modules)}\nprint(json.dumps([*sys.modules]))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert set(modules) <= set(loaded)
    assert "torch" not in loaded
