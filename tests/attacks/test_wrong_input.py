"""Whatever an attack cannot take it refuses in a sentence, before it begins: images, labels and outputs of networks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.science import build_network
from torch import Tensor, nn

import ews
from ews.attacks.adaptive_attack import deceive
from ews.attacks.pgd import pgd
from ews.attacks.restarts import worst_of_restarts
from ews.core.errors import EwsError
from ews.core.seeds import torch_stream

ARCHITECTURE = {"name": "thin", "network": "cifar_resnet", "depth": 8, "width": 4}
SIZES = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 1}
IMAGES = torch.rand(4, 3, 8, 8, generator=torch_stream("images"))
LABELS = torch.tensor([0, 1, 2, 3])


def network(**more: Any) -> nn.Module:
    built = build_network(
        ARCHITECTURE | more, classes=5, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("network")
    )
    return built.eval().requires_grad_(False)


def by_autoattack(model: nn.Module, images: Tensor, labels: Tensor) -> Any:
    how = {"version": "standard", "batch_size": 4, "seed": 0, "device": torch.device("cpu")}
    return ews.autoattack(model, images, labels, epsilon=8 / 255, **how)


def by_pgd(model: nn.Module, images: Tensor, labels: Tensor) -> Any:
    return ews.pgd(model, images, labels, **SIZES, start="none", loss="cross_entropy", generator=None)


def by_restarts(model: nn.Module, images: Tensor, labels: Tensor) -> Any:
    return worst_of_restarts(model, images, labels, **SIZES, restarts=1, seed=0, indices=torch.arange(4).numpy())


def by_deceiving(model: nn.Module, images: Tensor, labels: Tensor) -> Any:
    return deceive(model, images, labels, **SIZES, weight=1.0, initial=images)


Attacker = Callable[[nn.Module, Any, Any], Any]
ATTACKERS = [by_autoattack, by_pgd, by_restarts, by_deceiving]

WRONG_IMAGES = {
    "nan": (IMAGES.clone().index_fill_(0, torch.tensor(2), torch.nan), "reach from nan"),
    "infinite": (IMAGES.clone().index_fill_(0, torch.tensor(2), torch.inf), "to inf; they must be in"),
    "grey levels": (IMAGES * 255, r"must be in \[0, 1\]\. Divide grey levels by 255"),
    "a little below": (IMAGES - 0.05, r"images reach from -0\.0\d* to "),
    "a little above": (IMAGES + 0.05, r"they must be in \[0, 1\]"),
    "uint8": ((IMAGES * 255).to(torch.uint8), r"torch\.uint8; a floating type"),
    "a list": (IMAGES.tolist(), "images: a list; a tensor"),
    "an array": (IMAGES.numpy(), "images: a ndarray; a tensor"),
    "one image": (IMAGES[0], r"of shape \[3, 8, 8\]; \[B, C, H, W\] is needed"),
    "flat": (IMAGES.flatten(1), r"of shape \[4, 192\]; \[B, C, H, W\] is needed"),
    "none": (IMAGES[:0], "there must be at least one image"),
}
WRONG_LABELS = {
    "int32": (LABELS.int(), r"labels: torch\.int32; torch\.int64 is needed. Convert them with labels\.long"),
    "floating": (LABELS.float(), r"labels: torch\.float32; torch\.int64 is needed"),
    "one-hot": (torch.eye(5, dtype=torch.int64)[:4], r"of shape \[4, 5\]; a class for each image, \[4\]"),
    "too few": (LABELS[:3], "labels: 3 for 4 images"),
    "too many": (torch.arange(5), "labels: 5 for 4 images"),
    "a list": (LABELS.tolist(), "labels: a list; a tensor"),
    "too high": (torch.tensor([0, 1, 2, 5]), "labels reach from 0 to 5; the network has 5 classes: valid are 0 to 4"),
    "negative": (torch.tensor([0, 1, 2, -1]), "labels reach from -1 to 2; the network has 5 classes"),
}


class Says(nn.Module):
    """A network, with its output changed."""

    def __init__(self, change: Callable[[Tensor], Any], inner: nn.Module) -> None:
        super().__init__()
        self.change, self.inner = change, inner

    @property
    def router(self) -> nn.Module:
        return self.inner.router  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Any:
        return self.change(self.inner(x))


WRONG_OUTPUTS = {
    "a tuple": (lambda output: (output, output), r"its output is a tuple; a tensor of logits \[B, classes\]"),
    "a mapping": (lambda output: {"logits": output}, "its output is a dict; a tensor of logits"),
    "maps": (lambda output: output[:, :, None, None], r"is torch\.float32 \[4, 5, 1, 1\] for 4 images"),
    "one number each": (lambda output: output[:, 0], r"is torch\.float32 \[4\] for 4 images"),
    "classes": (lambda output: output.argmax(1, keepdim=True).repeat(1, 5), r"is torch\.int64 \[4, 5\]"),
    "one class": (lambda output: output[:, :1], "one class; to attack it there must be another"),
    "half of them": (lambda output: output[:2], r"\[2, 5\] for 4 images"),
}


@pytest.mark.parametrize("attacker", ATTACKERS)
@pytest.mark.parametrize("case", WRONG_IMAGES)
def test_what_are_no_images_is_refused_before_the_network_runs(attacker: Attacker, case: str) -> None:
    model = network()

    def never(*_: Any) -> None:
        raise AssertionError("the network ran")

    model.register_forward_pre_hook(never)
    images, message = WRONG_IMAGES[case]
    with pytest.raises(EwsError, match=message) as caught:
        attacker(model, images, LABELS)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("attacker", ATTACKERS)
@pytest.mark.parametrize("case", WRONG_LABELS)
def test_what_are_no_labels_is_refused(attacker: Attacker, case: str) -> None:
    labels, message = WRONG_LABELS[case]
    model = network(dynamic={"name": "awnet", "extractor": [4]}) if attacker is by_deceiving else network()
    with pytest.raises(EwsError, match=message) as caught:
        attacker(model, IMAGES, labels)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("attacker", ATTACKERS[:3])
@pytest.mark.parametrize("case", WRONG_OUTPUTS)
def test_what_are_no_logits_is_refused(attacker: Attacker, case: str) -> None:
    change, message = WRONG_OUTPUTS[case]
    with pytest.raises(EwsError, match=message) as caught:
        attacker(Says(change, network()).eval(), IMAGES, LABELS)
    assert str(caught.value).endswith(".")


def test_logits_that_are_not_finite_lead_nowhere() -> None:
    with pytest.raises(EwsError, match="its logits are not finite; no gradient leads anywhere"):
        by_pgd(Says(lambda output: output * torch.nan, network()), IMAGES, LABELS)


@pytest.mark.parametrize("attacker", [by_pgd, by_restarts])
def test_what_is_no_function_is_refused(attacker: Attacker) -> None:
    with pytest.raises((EwsError, TypeError), match="network: a NoneType; a function of images"):
        attacker(None, IMAGES, LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["epsilon", "step_size"])
@pytest.mark.parametrize("value", ["8/255", None, True, [0.1], torch.tensor([0.1, 0.2])])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_a_size_is_a_number(name: str, value: Any, norm: Any) -> None:
    given: dict[str, Any] = {**SIZES, "start": "none", "loss": "cross_entropy", "generator": None, "norm": norm}
    with pytest.raises(EwsError, match=f"^{name}: .* is no"):
        ews.pgd(network(), IMAGES, LABELS, **given | {name: value})


def test_starts_are_of_images_with_numbers_of_their_own() -> None:
    with pytest.raises(EwsError, match="indices: 3 for 4 images"):
        worst_of_restarts(network(), IMAGES, LABELS, **SIZES, restarts=1, seed=0, indices=torch.arange(3).numpy())


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (4, 3, 8, 7)])
def test_a_start_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EwsError, match=r"initial: of shape .*; that of the images is needed, \[4, 3, 8, 8\]"):
        pgd(
            network(),
            IMAGES,
            LABELS,
            **SIZES,
            start="none",
            loss="cross_entropy",
            generator=None,
            initial=torch.zeros(shape),
        )


def test_training_s_attacks_do_not_look_at_values() -> None:
    """That would wait for a GPU in every step; types and shapes are known without."""
    given: dict[str, Any] = {**SIZES, "start": "none", "loss": "cross_entropy", "generator": None, "checked": False}
    assert ews.pgd(network(), IMAGES * 2, LABELS, **given).shape == IMAGES.shape
    with pytest.raises(EwsError, match=r"labels: torch\.int32"):
        ews.pgd(network(), IMAGES, LABELS.int(), **given)


def test_a_refusal_is_also_what_python_calls_a_wrong_value() -> None:
    with pytest.raises(ValueError, match="epsilon: 8 is not in"):
        ews.pgd(network(), IMAGES, LABELS, **SIZES | {"epsilon": 8}, start="none", loss="cross_entropy", generator=None)
