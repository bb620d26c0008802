"""What kinds of network say about themselves agrees with params.yaml and with the networks."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.models.architecture_registry import ARCHITECTURES, DYNAMIC
from ews.models.wide_resnet.wide_resnet_spec import WideResNetParameters

NETWORKS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())[
    "architectures"
]


@pytest.mark.parametrize("name", NETWORKS)
def test_params_names_a_kind_and_fits_it(name: str) -> None:
    parameters = ARCHITECTURES[NETWORKS[name]["network"]].parameters.model_validate(NETWORKS[name])
    assert parameters.model_dump() == NETWORKS[name]


@pytest.mark.parametrize("registry", [ARCHITECTURES, DYNAMIC], ids=["networks", "dynamic parts"])
def test_every_parameter_has_a_description_and_an_implementation(registry: Any) -> None:
    for name, spec in registry.items():
        assert all(field.description for field in spec.parameters.model_fields.values())
        assert spec.implementation().__module__ == f"ews.models.{name}.{name}"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_kind_is_named_by_its_parameters(name: str) -> None:
    assert ARCHITECTURES[name].parameters.model_fields["network"].default == name


def test_a_kind_is_found_by_its_parameters() -> None:
    assert ARCHITECTURES.of(WideResNetParameters(depth=10, widen=1)) is ARCHITECTURES["wide_resnet"]


@pytest.mark.parametrize(
    "values",
    [
        {"network": "cifar_resnet", "depth": 9, "width": 8},
        {"network": "resnet", "depth": 19, "width": 8},
        {"network": "preact_resnet", "depth": 34, "width": 8},
        {"network": "wide_resnet", "depth": 12, "widen": 1},
    ],
    ids=lambda values: values["network"],
)
def test_a_depth_that_does_not_exist_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="depth"):
        ARCHITECTURES[values["network"]].parameters.model_validate(values)
