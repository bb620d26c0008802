"""Whether factors on the weights mimic corruptions of the images (Trinh et al. 2024): fitted, and held out."""

import sys
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ews.core.device import exact
from ews.core.errors import EwsError
from ews.core.seeds import torch_stream
from ews.corruptions import corrupt
from ews.data.split import stratified
from ews.models.network import Network
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.mimicry.factors import Effect, centred, draw, fit, logits, perturbed, spread, squares
from ews.pipeline.evaluate.mimicry.mimicry_spec import (
    Explained,
    Losses,
    Mimicked,
    MimicryFindings,
    MimicryOptions,
)
from ews.pipeline.evaluate.subject import Subject


@dataclass(frozen=True, eq=False)
class Halves:
    """The images: ``index`` int64 [n] in the test set; ``fitted`` bool [n], which of them factors are fitted to."""

    index: np.ndarray
    fitted: np.ndarray


@dataclass(frozen=True, eq=False)
class Bench:
    """What all corruptions of a network have in common.

    Attributes:
        network: without gradients.
        halves: which images.
        pixels: uint8 [n, H, W, 3].
        images: the same as the network takes them.
        labels: int64 [n].
        clean: logits [n, classes].
        fitted: bool [n], on the device.
    """

    network: Network
    halves: Halves
    pixels: np.ndarray
    images: Tensor
    labels: Tensor
    clean: Tensor
    fitted: Tensor


def evaluate(subject: Subject, options: MimicryOptions, making: Making) -> Evaluation[MimicryFindings]:
    """Fit factors for each corruption to half of the images, and see what they do on the other half.

    One set of factors for all images, as DAMP's bound has it, for each corruption: see
    :func:`ews.pipeline.evaluate.mimicry.factors.fit`. The weights are the last epoch's, normalisation is by the running
    statistics. What is finished is kept, by corruption, so that a killed evaluation resumes.

    Args:
        subject: what to measure.
        options: which corruptions.
        making: not used; the few images are made here, also where a study measures published ones.

    Returns:
        a row per corruption; logits float32 [n, classes] ``clean``, [corruptions, n, classes] ``corrupted`` and
        ``mimicked``, ``names`` (text [corruptions]), ``index`` and ``label`` (int64 [n]) and ``fitted`` (bool [n]).

    Raises:
        EwsError: more images wanted than there are, or a network whose logits are not finite.
    """
    bench = _bench(subject, options)
    rows, corrupted, mimicked = [], [], []
    for name in options.names:
        row, after, like = _kept(bench, name, subject, options)
        rows.append(row)
        corrupted.append(after)
        mimicked.append(like)
        share = "no change" if row.explained is None else f"{row.explained.held_out:.1f} % mimicked on other images"
        print(f"{name}: {share}", file=sys.stderr, flush=True)
    count = int(bench.halves.fitted.sum())
    return Evaluation(
        MimicryFindings(
            rows=tuple(rows),
            fitted=count,
            held_out=len(bench.halves.index) - count,
            factors=sum(weight.numel() for weight in perturbed(bench.network).values()),
        ),
        arrays={
            "names": np.array(options.names, dtype=np.str_),
            "clean": bench.clean.cpu().numpy(),
            "corrupted": np.array(corrupted),
            "mimicked": np.array(mimicked),
            "index": bench.halves.index,
            "label": bench.labels.cpu().numpy(),
            "fitted": bench.halves.fitted,
        },
    )


def _kept(
    bench: Bench, name: str, subject: Subject, options: MimicryOptions
) -> tuple[Mimicked, np.ndarray, np.ndarray]:
    """Return what :func:`_mimic` does, logits as arrays: kept from an earlier start, or computed and kept."""
    asked = options.model_dump(mode="json", exclude={"names"})
    identity = {**partial_results.identity(subject), "corruption": name, "options": asked}
    kept = partial_results.get(subject.work, name, identity=identity)
    if kept is not None:
        print(f"{name}: was done before", file=sys.stderr, flush=True)
        return Mimicked.model_validate_json(str(kept["row"])), kept["corrupted"], kept["mimicked"]
    row, after, like = _mimic(bench, name, subject, options)
    arrays = {"corrupted": after.cpu().numpy(), "mimicked": like.cpu().numpy()}
    partial_results.put(subject.work, name, {"row": np.array(row.model_dump_json()), **arrays}, identity=identity)
    return row, arrays["corrupted"], arrays["mimicked"]


def choose(indices: np.ndarray, labels: np.ndarray, count: int) -> Halves:
    """Choose images and the half of them that is fitted, both stratified and the same for every run.

    Args:
        indices: int64 [N], sorted, which test images are measured.
        labels: int64 [N], theirs.
        count: how many to choose, 2 to N.

    Raises:
        EwsError: there are fewer.
    """
    if not 2 <= count <= len(indices):
        raise EwsError(f"evaluation.mimicry.images: {count} of {len(indices)} test images; valid: 2 to {len(indices)}.")
    chosen = stratified(labels, count, key="mimicry images")
    fitted = np.zeros(count, dtype=bool)
    fitted[stratified(labels[chosen], count // 2, key="mimicry fitted")] = True
    return Halves(indices[chosen], fitted)


def _bench(subject: Subject, options: MimicryOptions) -> Bench:
    halves = choose(subject.indices, subject.labels, options.images)
    network = subject.network(LAST).requires_grad_(False)
    pixels = subject.dataset.test_images[halves.index]
    images = _images(pixels, subject.device)
    with exact():
        clean = _finite(logits(network, images), subject)
    labels = np.asarray(subject.dataset.test_labels[halves.index], dtype=np.int64)
    return Bench(
        network,
        halves,
        pixels,
        images,
        torch.from_numpy(labels).to(subject.device),
        clean,
        torch.from_numpy(halves.fitted).to(subject.device),
    )


def _mimic(bench: Bench, name: str, subject: Subject, options: MimicryOptions) -> tuple[Mimicked, Tensor, Tensor]:
    """Return the row of a corruption, the logits of the corrupted images, and those of the multiplied weights."""
    made = corrupt(
        bench.pixels,
        name=name,
        severity=options.severity,
        seed=options.seed,
        profile=options.profile,
        indices=bench.halves.index,
    )
    network, clean, fitted, others = bench.network, bench.clean, bench.fitted, ~bench.fitted
    with exact():
        corrupted = _finite(logits(network, _images(made, subject.device)), subject)
        effect = Effect(bench.images[fitted], clean[fitted], corrupted[fitted])
        changed = effect.size > 0 and squares(corrupted[others] - clean[others]) > 0
        factors = fit(network, effect, steps=options.steps) if changed else {}
        mimicked = _finite(logits(network, bench.images, factors), subject) if changed else clean
        size = spread(factors) if changed else 0.0
        explained = None
        if changed:
            drawn = logits(
                network, bench.images[others], draw(network, size, torch_stream(subject.seed, "mimicry", name))
            )
            constant = clean[others] + centred(corrupted[fitted] - clean[fitted]).mean(0)
            explained = Explained(
                fitted=share(clean[fitted], corrupted[fitted], mimicked[fitted]),
                held_out=share(clean[others], corrupted[others], mimicked[others]),
                constant=share(clean[others], corrupted[others], constant),
                random=share(clean[others], corrupted[others], drawn),
            )
    labels = bench.labels[others]
    before, after, like = (found[others] for found in (clean, corrupted, mimicked))
    row = Mimicked(
        corruption=name,
        error=_percent(after.argmax(1) != labels),
        explained=explained,
        spread=size,
        losses=Losses(clean=_loss(before, labels), corrupted=_loss(after, labels), mimicked=_loss(like, labels)),
        agreement=_percent(like.argmax(1) == after.argmax(1)),
        unchanged=_percent(before.argmax(1) == after.argmax(1)),
    )
    return row, corrupted, mimicked


def share(clean: Tensor, corrupted: Tensor, mimicked: Tensor) -> float:
    """Return how much of the change from clean to corrupted logits [n, classes] others have made, percent.

    100 (1 - sum ||c(mimicked - corrupted)||^2 / sum ||c(clean - corrupted)||^2), c as in
    :func:`ews.pipeline.evaluate.mimicry.factors.fit`: 100 if they are the corrupted ones, 0 if the clean ones.
    """
    return 100 * (1 - squares(mimicked - corrupted) / squares(clean - corrupted))


def _images(pixels: np.ndarray, device: torch.device) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).movedim(-1, 1)
    return images.to(torch.float32, memory_format=torch.contiguous_format) / 255


def _finite(found: Tensor, subject: Subject) -> Tensor:
    if not bool(found.isfinite().all()):
        raise EwsError(
            f"{subject.run.folder}: logits that are not finite: this training run has diverged, and nothing of it can "
            "be mimicked. Leave the evaluation `mimicry` out, or train with a lower learning rate."
        )
    return found


def _loss(found: Tensor, labels: Tensor) -> float:
    return float(F.cross_entropy(found.double(), labels))


def _percent(flags: Tensor) -> float:
    return 100 * float(flags.double().mean())
