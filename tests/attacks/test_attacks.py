"""What all attacks have in common: every public function of the package that takes a radius and images."""

import inspect
import itertools
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from helpers.science import build_network
from torch import Tensor

from ews import attacks
from ews.core.seeds import torch_stream

# What each attack has to be given beside radius, step and steps.
OWN: dict[str, dict[str, Any]] = {
    "adaptive_attack": {"weight": 1.0, "initial": None},
    "ensemble": {"version": "standard", "batch_size": 2, "seed": 0, "device": torch.device("cpu")},
    "pgd": {"start": "none", "loss": "cross_entropy", "generator": None},
    "restarts": {"restarts": 1, "seed": 0, "indices": [0, 1]},
}
SIZES = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 1}


def names(attack: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(attack).parameters)


def public_attacks() -> dict[str, Callable[..., Any]]:
    """Return the attacks by their modules' names."""
    found = {}
    for module in (import_module(f"ews.attacks.{entry.name}") for entry in pkgutil.iter_modules(attacks.__path__)):
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
            if own and {"epsilon", "images"} <= set(names(value)):
                found[module.__name__.rpartition(".")[2]] = value
    return found


ATTACKS = public_attacks()


def test_every_attack_is_known_here() -> None:
    assert set(OWN) == set(ATTACKS)


@pytest.mark.parametrize("name", OWN)
def test_every_attack_is_a_function_of_keywords_after_what_it_attacks_images_and_labels(name: str) -> None:
    attack = ATTACKS[name]
    parameters = inspect.signature(attack).parameters.values()
    groups = [(kind, len(list(group))) for kind, group in itertools.groupby(one.kind.name for one in parameters)]
    assert [kind for kind, _ in groups] == ["POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"] and groups[0][1] == 3
    assert names(attack)[0] in ("logits", "network") and names(attack)[1:3] == ["images", "labels"]
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters)


@pytest.mark.parametrize("epsilon", [-0.1, 8, float("nan")])
@pytest.mark.parametrize("name", OWN)
def test_every_attack_refuses_a_radius_outside_the_range_before_the_network_runs(name: str, epsilon: float) -> None:
    attack = ATTACKS[name]
    given = {key: value for key, value in (SIZES | {"epsilon": epsilon}).items() if key in names(attack)}

    def never(_: Tensor) -> Tensor:
        raise AssertionError("the network ran")

    with pytest.raises(ValueError, match=r"epsilon: .* is not in \[0, 1\]"):
        attack(never, torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]), **given, **OWN[name])


@pytest.mark.parametrize("name", OWN)
def test_every_attack_leaves_what_it_is_given_as_it_was_and_stays_in_the_ball(name: str) -> None:
    architecture = {"name": "thin", "network": "cifar_resnet", "depth": 8, "width": 4}
    if name == "adaptive_attack":
        architecture["dynamic"] = {"name": "awnet", "extractor": [4]}
    scale: dict[str, Any] = {"classes": 5, "mean": [0.4] * 3, "std": [0.2] * 3}
    network = build_network(architecture, **scale, generator=torch_stream("network")).eval().requires_grad_(False)
    images, labels = torch.rand(2, 3, 8, 8, generator=torch_stream("images")), torch.tensor([0, 1])
    before = [value.clone() for value in (images, labels, *network.state_dict().values())]
    attack = ATTACKS[name]
    given = {key: value for key, value in SIZES.items() if key in names(attack)} | OWN[name]
    if name == "adaptive_attack":
        given["initial"] = images
    found = attack(network, images, labels, **given)
    found = found if isinstance(found, Tensor) else found.images
    assert (found - images).abs().max() <= SIZES["epsilon"] + 1e-6 and found.min() >= 0 and found.max() <= 1
    assert not found.requires_grad and found.shape == images.shape
    after = (images, labels, *network.state_dict().values())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
