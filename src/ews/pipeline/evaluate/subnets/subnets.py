"""Errors of random subnets of a trained network on validation images, the same subnets for every network."""

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ews.core.device import exact
from ews.core.seeds import numpy_stream, torch_stream
from ews.models.network import Network
from ews.models.norm import running_statistics
from ews.models.subnet import BlockChoice, Subnet
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.held_out import held_out
from ews.pipeline.evaluate.subject import Subject
from ews.pipeline.evaluate.subnets.subnets_spec import SHARES, Quantile, SubnetsFindings, SubnetsOptions
from ews.subnets.search.random import Random

PART = 50
"""Subnets whose errors are kept together: seconds, after which a killed evaluation resumes."""


def evaluate(subject: Subject, options: SubnetsOptions, making: Making) -> Evaluation[SubnetsFindings]:
    """Measure random subnets of the last epoch's weights.

    Args:
        subject: what to measure.
        options: which subnets, on which images, normalised how.
        making: not used.

    Returns:
        ``wrong``: int64 [subnets], how many images each gets wrong; ``index``: int64 [n], the images' positions among
        the training images, in the order in which they were passed.

    Raises:
        EwsError: the dataset holds no validation images, or fewer than are asked for; the network has no blocks.
    """
    indices = shuffled(held_out(subject.dataset, options.images), options.seed)
    labels = torch.from_numpy(np.asarray(subject.dataset.train_labels[indices])).to(subject.device)
    passes = np.array_split(np.arange(len(indices)), -(-len(indices) // options.batch_size))
    network = subject.network(LAST).to(memory_format=torch.channels_last)
    subnets = draw(network, options, device=subject.device)
    whole = network.space.everything(device=subject.device)
    pixels = [torch.from_numpy(subject.dataset.train_images[indices[part]]).to(subject.device) for part in passes]

    def measure(some: Sequence[Subnet]) -> NDArray[np.int64]:
        return wrong(network, some, pixels, labels, by_running=options.statistics == "running")

    identity = {**partial_results.identity(subject), "options": options.model_dump(mode="json")}
    found = []
    for start in range(0, len(subnets), PART):
        name = f"subnets-{start}"
        part = subnets[start : start + PART]
        kept = partial_results.get(subject.work, name, identity=identity)
        if kept is None or kept["wrong"].shape != (len(part),):
            kept = {"wrong": measure(part)}
            partial_results.put(subject.work, name, kept, identity=identity)
        found.append(kept["wrong"])
    counts = np.concatenate(found)
    return Evaluation(
        summarise(counts, full=int(measure([whole])[0]), images=len(indices), subnets=checksum(subnets)),
        arrays={"wrong": counts, "index": indices},
    )


def shuffled(indices: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return images in a random order, always the same: files may be sorted by class, and batches must not be."""
    order: NDArray[np.int64] = numpy_stream(seed, "order of subnets' images").permutation(indices)
    return order


def draw(network: Network, options: SubnetsOptions, *, device: torch.device) -> list[Subnet]:
    """Return the subnets: a function of the space, width, rounding, count and seed, whatever the device and weights.

    Raises:
        EwsError: the network has no blocks.
    """
    search = Random(network, options, device="cpu", seed=0)
    generator = torch_stream(options.seed, "evaluated subnets")
    return [_on(search.sample(generator), device) for _ in range(options.count)]


@torch.inference_mode()
def wrong(
    network: Network, subnets: Sequence[Subnet], passes: Sequence[Tensor], labels: Tensor, *, by_running: bool
) -> NDArray[np.int64]:
    """Return how many images each subnet gets wrong, int64 [subnets]; a logit that is not finite is wrong.

    Args:
        network: in evaluation mode.
        subnets: of it.
        passes: uint8 [B, H, W, 3] each, on the network's device; each is a batch of its own.
        labels: int64, of all passes one after the other.
        by_running: normalise by the running statistics, and not by those of the pass.
    """
    counts = torch.zeros(len(subnets), dtype=torch.int64, device=labels.device)
    with exact(), running_statistics(network) if by_running else nullcontext():
        for pixels, of in zip(passes, labels.split([len(one) for one in passes]), strict=True):
            # As training has them: [B, 3, H, W], channels last in memory.
            images = pixels.movedim(-1, 1).float() / 255
            for place, subnet in enumerate(subnets):
                logits = network(images, subnet)
                right = logits.isfinite().all(1) & (logits.argmax(1) == of)
                counts[place] += len(of) - right.sum()
    return counts.cpu().numpy()


def summarise(counts: NDArray[np.int64], *, full: int, images: int, subnets: str) -> SubnetsFindings:
    """Return the findings.

    Args:
        counts: of wrong images, int64 [subnets].
        full: the same of the whole network.
        images: how many there are.
        subnets: of :func:`checksum`.
    """
    errors = 100 * counts / images
    return SubnetsFindings(
        full=100 * full / images,
        mean=float(errors.mean()),
        deviation=float(errors.std()),
        quantiles=tuple(Quantile(share=share, error=float(np.quantile(errors, share))) for share in SHARES),
        subnets=subnets,
        n=images,
    )


def checksum(subnets: Sequence[Subnet]) -> str:
    """Return the SHA-256 of what subnets keep, in their order, 64 hex digits."""
    digest = hashlib.sha256()
    for subnet in subnets:
        for block in subnet.blocks:
            kept = [channels.tolist() for channels in block.channels]
            digest.update(f"{block.residual} {block.shortcut} {kept}\n".encode())
    return digest.hexdigest()


def _on(subnet: Subnet, device: torch.device) -> Subnet:
    return Subnet(
        tuple(
            BlockChoice(block.residual, block.shortcut, tuple(channels.to(device) for channels in block.channels))
            for block in subnet.blocks
        )
    )
