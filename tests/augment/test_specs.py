"""What augmentations say about themselves agrees with params.yaml."""

from pathlib import Path

import pytest
import yaml

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmix.augmix_spec import AugMixParameters

SECTIONS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())["augmentations"]


def test_the_names_are_those_of_params() -> None:
    assert set(AUGMENTATIONS) == set(SECTIONS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_defaults_are_the_values_in_params(name: str) -> None:
    parameters = AUGMENTATIONS[name].parameters
    assert set(SECTIONS[name]) == set(parameters.model_fields)
    assert parameters.model_validate(SECTIONS[name]) == parameters()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_parameter_has_a_description_and_an_implementation(name: str) -> None:
    spec = AUGMENTATIONS[name]
    assert all(field.description for field in spec.parameters.model_fields.values())
    assert spec.implementation().__module__ == f"ews.augment.{name}.{name}"


def test_an_augmentation_is_found_by_its_parameters() -> None:
    assert AUGMENTATIONS.of(AugMixParameters()) is AUGMENTATIONS["augmix"]


def test_a_longest_chain_is_not_shorter_than_the_shortest() -> None:
    with pytest.raises(ValueError, match=r"depth_max \(1\) is below depth_min \(2\)"):
        AugMixParameters(depth_min=2, depth_max=1)
