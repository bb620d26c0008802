"""Robust error of a network with a router under attacks that also deceive the router, the worst case per image."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ews.attacks.adaptive_attack import deceive
from ews.attacks.ball import uniform_start
from ews.attacks.restarts import correct, worst_of_restarts
from ews.core.device import exact
from ews.core.errors import EwsError
from ews.core.machine_types import Hardware
from ews.core.seeds import numpy_stream
from ews.models.awnet.awnet import CLEAN, router_of, routing
from ews.models.network import Network
from ews.pipeline.artifacts.run_files import BEST, LAST
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.adaptive.adaptive_spec import (
    Adapted,
    AdaptiveFindings,
    AdaptiveOptions,
    DeceivedWeights,
    Router,
    Share,
    Weight,
)
from ews.pipeline.evaluate.adversarial.adversarial_spec import Again, ErrorOn
from ews.pipeline.evaluate.adversarial.masking import error_of
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.reach import Reach
from ews.pipeline.evaluate.subject import Subject

SHARD = 250
"""Images that are attacked, and kept, together: what a kill loses at most."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class AdaptivePlan:
    """What is attacked, and how; the same for every weights file of the subject."""

    subject: Subject
    options: AdaptiveOptions

    @property
    def seed(self) -> int:
        """Of all attacks: that of the training run."""
        return self.subject.seed

    @property
    def attack(self) -> dict[str, Any]:
        """What every attack here has in common."""
        options = self.options
        return {
            "norm": options.norm,
            "epsilon": options.epsilon,
            "step_size": options.step_size,
            "steps": options.steps,
        }

    def images(self, indices: np.ndarray) -> Tensor:
        """Return images as the network takes them, float32 [B, 3, H, W] in [0, 1], on the device."""
        pixels = torch.from_numpy(self.subject.dataset.test_images[indices]).movedim(-1, 1)
        images = pixels.to(torch.float32, memory_format=torch.contiguous_format) / 255
        return images.to(self.subject.device)

    def labels(self, indices: np.ndarray) -> Tensor:
        """Return their labels, int64 [B], on the device."""
        labels = np.asarray(self.subject.dataset.test_labels[indices], dtype=np.int64)
        return torch.from_numpy(labels).to(self.subject.device)

    def shards(self) -> list[np.ndarray]:
        """Return the numbers of the images of each shard."""
        indices = self.subject.indices
        return [indices[start : start + SHARD] for start in range(0, len(indices), SHARD)]

    def batches(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of the images in each pass."""
        return [
            indices[start : start + self.options.batch_size]
            for start in range(0, len(indices), self.options.batch_size)
        ]


def evaluate(subject: Subject, options: AdaptiveOptions, making: Making) -> Evaluation[AdaptiveFindings]:
    """Attack the last epoch's weights and, where validation images selected an epoch, that epoch's.

    First PGD on the cross-entropy, as in the evaluation ``adversarial`` with as many restarts; then, on the images that
    are still right, :func:`ews.attacks.adaptive_attack.deceive` with each of the weights in turn. So the error is at
    least PGD's, and an image counts as wrong if any attack fooled it. Starts are functions of (seed, image, weight,
    restart). Shards of 250 images are kept as soon as they are whole; a killed evaluation resumes after the last one.

    Args:
        subject: what to measure.
        options: the threat and the attacks' effort; the size of batches has no effect but rounding.
        making: no images are made.

    Returns:
        the errors by weights file: clean, under PGD, under all; what each weight added; how often the
        router is mistaken. Per-image flags of the last weights, and the adversarial images of their first shard.

    Raises:
        EwsError: the network has no router, a parameter is outside its range, an attack left the ball.
    """
    plan = AdaptivePlan(subject, options)
    _check(plan)
    names = {key: name for key, name in (("last", LAST), ("best", BEST)) if subject.run.has(name)}
    # As in the evaluation `adversarial`: predictions are to be the same when they are computed again.
    with exact():
        found = {key: _attacked(plan, key, name) for key, name in names.items()}
        results = {key: _summary(plan, name, found[key]) for key, name in names.items()}
    identity = partial_results.identity(subject)
    findings = AdaptiveFindings(
        last=results["last"],
        best=results.get("best"),
        seed=plan.seed,
        hardware=Hardware(**identity["hardware"]),
        versions=identity["versions"],
    )
    last = found["last"]
    arrays = {
        "index": subject.indices,
        "label": subject.labels,
        "clean": _joined(last, "clean"),
        "weights": np.array([0.0, *options.weights]),
        "robust": _joined(last, "robust"),
        "images": last[0]["images"],
    }
    return Evaluation(findings, arrays=arrays)


def _check(plan: AdaptivePlan) -> None:
    if router_of(plan.subject.network(LAST)) is None:
        method = plan.subject.run.record.cell.method.name
        raise EwsError(
            f"{plan.subject.run.folder}: the evaluation `adaptive` deceives a router, and the network of method "
            f"{method!r} has none. Evaluate `adversarial`, or a network of method awnet."
        )


def _attacked(plan: AdaptivePlan, key: str, name: str) -> list[Arrays]:
    """Attack one set of weights shard by shard, but for those that are kept of an earlier start."""
    identity = {
        **partial_results.identity(plan.subject),
        "options": plan.options.model_dump(mode="json"),
        "seed": plan.seed,
        "weights": name,
    }
    network = _loaded(plan, name)
    found = []
    for number, indices in enumerate(plan.shards()):
        part = f"{key}-{number:04}"
        arrays = partial_results.get(plan.subject.work, part, identity=identity)
        if arrays is None:
            batches = [_batch(plan, network, batch) for batch in plan.batches(indices)]
            arrays = {
                entry: np.concatenate([one[entry] for one in batches], axis=-4 if entry == "images" else -1)
                for entry in batches[0]
            }
            partial_results.put(plan.subject.work, part, arrays, identity=identity)
            print(f"{part}: {len(indices)} images", file=sys.stderr, flush=True)
        found.append(arrays)
    return found


def _loaded(plan: AdaptivePlan, name: str) -> Network:
    """Return the network with the weights of a file, laid out NHWC: faster on CPUs."""
    network = plan.subject.network(name).requires_grad_(False)
    network.to(memory_format=torch.channels_last)
    return network


def _batch(plan: AdaptivePlan, network: Network, indices: np.ndarray) -> Arrays:
    """Attack some images.

    Returns:
        ``images`` [B, 3, H, W]: the first that fooled the network, or else that of PGD's largest loss; ``clean`` and
        bool [1 + weights, B] ``robust``: right without an attack, after PGD and after each weight; ``suspected``: taken
        for adversarial as it is; ``trusted``: its image in ``images`` taken for clean.
    """
    images, labels = plan.images(indices), plan.labels(indices)
    first = worst_of_restarts(
        network, images, labels, **plan.attack, restarts=plan.options.restarts, seed=plan.seed, indices=indices
    )
    worst, robust = first.images, first.robust.to(images.device)
    flags = [robust.clone()]
    for weight in plan.options.weights:
        for restart in range(plan.options.restarts):
            left = robust.nonzero()[:, 0]
            if len(left) == 0:
                break
            clean, truth = images[left], labels[left]
            start = clean + _starts(plan, indices[left.cpu().numpy()], weight, restart, clean)
            found = deceive(network, clean, truth, **plan.attack, weight=weight, initial=start)
            fooled = ~correct(network, found, truth)
            worst[left[fooled]] = found[fooled]
            robust[left[fooled]] = False
        flags.append(robust.clone())
    return {
        "images": worst.cpu().numpy(),
        "clean": correct(network, images, labels).cpu().numpy(),
        "robust": torch.stack(flags).cpu().numpy(),
        "suspected": ~_taken_for_clean(network, images),
        "trusted": _taken_for_clean(network, worst),
    }


def _starts(plan: AdaptivePlan, indices: np.ndarray, weight: float, restart: int, like: Tensor) -> Tensor:
    """Draw a uniform change within the ball for each image, whatever else is in the batch."""
    shape = tuple(like.shape[1:])
    streams = [numpy_stream(plan.seed, "adaptive", int(index), repr(weight), restart) for index in indices]
    if plan.options.norm == "Linf":
        drawn = np.stack([stream.random(shape) for stream in streams])
        return torch.from_numpy(plan.options.epsilon * (2 * drawn - 1)).to(like)
    normal = torch.from_numpy(np.stack([stream.standard_normal(shape) for stream in streams]))
    uniform = torch.from_numpy(np.array([stream.random() for stream in streams]))
    return uniform_start(normal, uniform, plan.options.epsilon).to(like)


def _taken_for_clean(network: Network, images: Tensor) -> np.ndarray:
    with torch.no_grad(), routing(network) as call:
        network(images)
    assert call.types is not None
    taken: np.ndarray = (call.types.argmax(1) == CLEAN).cpu().numpy()
    return taken


def _summary(plan: AdaptivePlan, name: str, shards: list[Arrays]) -> DeceivedWeights:
    """Count the flags, and hold the adversarial images to them in a pass of its own, with the weights loaded anew."""
    clean, robust = _joined(shards, "clean"), _joined(shards, "robust")
    count = len(clean)
    network, right, reach = _loaded(plan, name), [], Reach(plan.options.norm)
    for indices, shard in zip(plan.shards(), shards, strict=True):
        images = torch.from_numpy(shard["images"]).to(plan.subject.device)
        for batch, part in zip(plan.batches(indices), images.split(plan.options.batch_size), strict=True):
            right.append(correct(network, part, plan.labels(batch)).cpu().numpy())
        reach.see(images, plan.images(indices))
    reach.check_distance(plan.options.epsilon, where=plan.subject.work)
    again = np.concatenate(right)
    # What is wrong without an attack stays as it is, and tells nothing of the router's answer to attacks.
    suspected, trusted = _joined(shards, "suspected"), _joined(shards, "trusted")[clean]
    return DeceivedWeights(
        clean=ErrorOn(error=error_of(clean), n=count),
        pgd=ErrorOn(error=error_of(robust[0]), n=count),
        adaptive=Adapted(
            error=error_of(robust[-1]),
            n=count,
            weights=tuple(
                Weight(weight=weight, error=error_of(after), fooled=int(np.sum(before & ~after)))
                for weight, (before, after) in zip(plan.options.weights, pairwise(robust), strict=True)
            ),
            again=Again(
                error=error_of(again),
                changed=int(np.sum(again != robust[-1])),
                distance=reach.distance,
                lowest=reach.lowest,
                highest=reach.highest,
            ),
        ),
        # In percent: clean images taken for adversarial; of the attacked ones, those taken for clean.
        router=Router(
            suspected=Share(percent=100 * float(np.mean(suspected)), n=count),
            trusted=Share(percent=100 * float(np.mean(trusted)), n=len(trusted)) if len(trusted) else None,
        ),
    )


def _joined(shards: Sequence[Arrays], name: str) -> np.ndarray:
    """Join the flags of shards along their images, the last axis."""
    return np.concatenate([shard[name] for shard in shards], axis=-1)
