"""Attacking test images shard by shard: each a function of (seed, shard), kept as soon as it is whole."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ews.attacks.ensemble import PACKAGE, autoattack, check_network, check_range, package_version
from ews.attacks.restarts import Worst, correct, worst_of_restarts
from ews.core.errors import EwsError
from ews.core.seeds import stream_seed
from ews.data.split import stratified
from ews.models.network import Network
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.adversarial import masking
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialOptions
from ews.pipeline.evaluate.adversarial.masking import error_of
from ews.pipeline.evaluate.subject import Subject

SHARD = 250
"""Images that are attacked, and kept, together: what a kill loses at most. Part of AutoAttack's result."""

SWEEP = 100
"""Images on which the error is followed to large radii, a stratified choice."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class AttackPlan:
    """What is attacked, and how; the same for every weights file of the subject."""

    subject: Subject
    options: AdversarialOptions

    @property
    def seed(self) -> int:
        """Of all attacks: that of the training run."""
        return self.subject.seed

    @cached_property
    def order(self) -> np.ndarray:
        """The test images' numbers, int64 [n], in a fixed random order: files may be sorted by class."""
        bits = np.random.PCG64(stream_seed("adversarial order")).random_raw(len(self.subject.dataset.test_labels))
        indices = self.subject.indices
        return indices[np.argsort(bits[indices], kind="stable")]

    @cached_property
    def chosen(self) -> np.ndarray:
        """Those that AutoAttack attacks, int64 [m], in the same order: a stratified choice."""
        return self._some(self.options.n_examples, key="autoattack subset")

    @cached_property
    def swept(self) -> np.ndarray:
        """Those on which large radii are tried."""
        return self._some(min(SWEEP, len(self.order)), key="sweep subset")

    def _some(self, count: int | None, *, key: str) -> np.ndarray:
        if count is None:
            return self.order
        return self.order[stratified(self.labels(self.order), count, key=key)]

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """Return the labels of images, int64."""
        return np.asarray(self.subject.dataset.test_labels[indices])

    def images(self, indices: np.ndarray) -> torch.Tensor:
        """Return images as the network takes them: float32 [B, 3, H, W] in [0, 1], on the CPU."""
        pixels = torch.from_numpy(self.subject.dataset.test_images[indices])
        images = pixels.movedim(-1, 1).to(torch.float32, memory_format=torch.contiguous_format) / 255
        check_range(images)
        return images

    @property
    def grey(self) -> float:
        """The radius within which any image can be turned into plain grey: half the range, in L2 of all pixels."""
        pixels = int(np.prod(self.subject.dataset.test_images.shape[1:]))
        return masking.GREY * (1.0 if self.options.norm == "Linf" else pixels**0.5)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What partial work depends on, down to the last bit of its arithmetic."""
        common = partial_results.identity(self.subject)
        return {
            **common,
            "options": self.options.model_dump(mode="json"),
            "shard": SHARD,
            "seed": self.seed,
            "versions": {**common["versions"], PACKAGE: package_version()},
        }


def attacked(plan: AttackPlan, key: str, name: str) -> None:
    """Attack one set of weights, and keep every shard that was not kept before.

    Args:
        plan: which images, and how.
        key: what the shards' names begin with.
        name: the weights' file.

    Raises:
        EwsError: AutoAttack does not take this network; before anything is attacked.
    """
    network = loaded(plan, name)
    check_network(network, plan.images(plan.chosen[:1]).to(plan.subject.device))
    identity = {**plan.identity, "weights": name}
    for part in parts(plan, key):
        if partial_results.get(plan.subject.work, part.name, identity=identity) is None:
            arrays = part.attack(plan, network, part)
            partial_results.put(plan.subject.work, part.name, {"index": part.indices, **arrays}, identity=identity)
            print(f"{part.name}: {len(part.indices)} images", file=sys.stderr, flush=True)


def loaded(plan: AttackPlan, name: str) -> Network:
    """Return the network with the weights of a file, laid out NHWC: a third faster on CPUs."""
    network = plan.subject.network(name).requires_grad_(False)
    network.to(memory_format=torch.channels_last)
    return network


def read(plan: AttackPlan, key: str, name: str) -> dict[str, list[Arrays]]:
    """Return what is kept of one set of weights: the shards by kind, ``pgd``, ``autoattack`` and ``sweep``.

    Raises:
        EwsError: a shard cannot be read.
    """
    identity = {**plan.identity, "weights": name}
    found: dict[str, list[Arrays]] = {}
    for part in parts(plan, key):
        arrays = partial_results.get(plan.subject.work, part.name, identity=identity)
        if arrays is None:
            raise EwsError(
                f"{plan.subject.work}: {part.name}.npz cannot be read back. Is the disk whole? Given again, the "
                "command attacks this shard anew."
            )
        found.setdefault(part.kind, []).append(arrays)
    return found


@dataclass(frozen=True, eq=False)
class Part:
    """A shard: its kind, its number, the images in it, and the function that attacks them."""

    key: str
    kind: str
    shard: int
    indices: np.ndarray
    attack: Callable[[AttackPlan, Network, "Part"], Arrays]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.key}-{self.kind}-{self.shard:04}"


def parts(plan: AttackPlan, key: str) -> Iterator[Part]:
    """Yield every shard of one set of weights."""
    for kind, order, attack in (("pgd", plan.order, _pgd), ("autoattack", plan.chosen, _autoattack)):
        for start in range(0, len(order), SHARD):
            yield Part(key, kind, start // SHARD, order[start : start + SHARD], attack)
    yield Part(key, "sweep", 0, plan.swept, _sweep)


def batches(plan: AttackPlan, indices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the numbers of the images in each pass."""
    return (
        indices[start : start + plan.options.batch_size] for start in range(0, len(indices), plan.options.batch_size)
    )


def right(plan: AttackPlan, network: Network, images: torch.Tensor, indices: np.ndarray) -> np.ndarray:
    """Say which images [B, 3, H, W] are classified as the test images ``indices`` should be, bool [B]."""
    labels, device = torch.from_numpy(plan.labels(indices)), plan.subject.device
    pairs = zip(images.split(plan.options.batch_size), labels.split(plan.options.batch_size), strict=True)
    return torch.cat([correct(network, part.to(device), truth.to(device)).cpu() for part, truth in pairs]).numpy()


def _pgd(plan: AttackPlan, network: Network, part: Part) -> Arrays:
    found = [
        _worst(
            plan,
            network,
            batch,
            epsilon=plan.options.epsilon,
            step_size=plan.options.step_size,
            restarts=plan.options.restarts,
        )
        for batch in batches(plan, part.indices)
    ]
    return {
        "images": torch.cat([worst.images.cpu() for worst in found]).numpy(),
        "robust": torch.cat([worst.robust for worst in found]).numpy(),
        "clean": right(plan, network, plan.images(part.indices), part.indices),
    }


def _autoattack(plan: AttackPlan, network: Network, part: Part) -> Arrays:
    found = autoattack(
        network,
        plan.images(part.indices),
        torch.from_numpy(plan.labels(part.indices)),
        epsilon=plan.options.epsilon,
        version=plan.options.version,
        norm=plan.options.norm,
        eot=plan.options.eot,
        batch_size=plan.options.batch_size,
        seed=stream_seed(plan.seed, "autoattack", part.shard),
        device=plan.subject.device,
    )
    return {
        "images": found.images.numpy(),
        "attacks": np.array(list(found.robust), dtype=np.str_),
        "robust": torch.stack(list(found.robust.values())).numpy(),
        "warnings": np.array(found.warnings, dtype=np.str_),
        "left_out": np.array(found.left_out, dtype=np.str_),
    }


def _sweep(plan: AttackPlan, network: Network, part: Part) -> Arrays:
    """Follow PGD, without restarts, to radii at which no network can be right; steps grow with the radius."""
    errors = []
    radii = masking.radii(plan.options.epsilon, plan.grey)
    for epsilon in radii:
        size = plan.options.step_size * epsilon / plan.options.epsilon
        found = [
            _worst(plan, network, batch, epsilon=epsilon, step_size=size, restarts=1)
            for batch in batches(plan, part.indices)
        ]
        errors.append(error_of(torch.cat([worst.robust for worst in found]).numpy()))
    return {"epsilon": np.array(radii), "error": np.array(errors)}


def _worst(
    plan: AttackPlan, network: Network, indices: np.ndarray, *, epsilon: float, step_size: float, restarts: int
) -> Worst:
    device = plan.subject.device
    return worst_of_restarts(
        network,
        plan.images(indices).to(device),
        torch.from_numpy(plan.labels(indices)).to(device),
        epsilon=epsilon,
        step_size=step_size,
        steps=plan.options.steps,
        restarts=restarts,
        seed=plan.seed,
        indices=indices,
        norm=plan.options.norm,
    )
