"""Network architectures by name. Each entry declares the blocks of a network; nothing else differs between them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ews.core.registry import lookup
from ews.models.dynamic import REGISTRY as DYNAMIC

if TYPE_CHECKING:
    import torch

    from ews.models.network import Network

REGISTRY: dict[str, str] = {
    "cifar_resnet": "ews.models.cifar_resnet.cifar_resnet:cifar_resnet",
    "resnet": "ews.models.resnet.resnet:resnet",
    "preact_resnet": "ews.models.preact_resnet.preact_resnet:preact_resnet",
    "wide_resnet": "ews.models.wide_resnet.wide_resnet:wide_resnet",
}


def uses(architecture: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (module that holds the registry, entry's name) of what :func:`build` builds, for the code fingerprint."""
    dynamic = architecture.get("dynamic")
    return [
        ("ews.models", architecture["network"]),
        *([("ews.models.dynamic", dynamic["name"])] if dynamic else []),
    ]


def build(
    architecture: Mapping[str, Any],
    *,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    generator: "torch.Generator | None" = None,
) -> "Network":
    """Build a network with fresh weights.

    Args:
        architecture: ``network`` names the entry of the registry; ``name`` is a label only; ``dynamic``, if there,
            is what makes the network depend on its input (:mod:`ews.models.dynamic`); every other key is passed to
            the entry.
        classes: the number of logits.
        mean: per input channel, subtracted inside of the network; in the input's units ([0, 1]).
        std: per input channel, divided by after that.
        generator: source of the weights; None is torch's global generator, which the caller has seeded.

    Raises:
        EwsError: no such network, or a depth that the network does not have.
    """
    parameters = {key: value for key, value in architecture.items() if key not in ("name", "network", "dynamic")}
    builder = lookup(REGISTRY, architecture["network"], kind="network")
    network: Network = builder(**parameters, classes=classes, mean=mean, std=std, generator=generator)
    dynamic = architecture.get("dynamic")
    if dynamic is not None:
        settings = {key: value for key, value in dynamic.items() if key != "name"}
        lookup(DYNAMIC, dynamic["name"], kind="dynamic part")(network, **settings, generator=generator)
    return network
