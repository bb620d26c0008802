"""What a caption says of attacks: what they were, whose weights were attacked, and reasons to distrust the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from ews.pipeline.report.manifest import Manifest
from ews.pipeline.report.metrics import ADAPTIVE, AUTOATTACK, SELECTED, SUSPECTED, TRUSTED, WEIGHTED, pgd
from ews.pipeline.report.table_data import Results

SELECTION = (
    "Errors marked (best) are of the weights of the epoch with the lowest error on validation images, under PGD where "
    "the training is adversarial, since the paper stops early; all others are of the last epoch. The test images "
    "selected nothing; the released code selects on them."
)
MOST = 5
"""Warnings in a caption; records.json has them all."""


def names(manifest: Manifest) -> list[str]:
    """Return the study's metrics that are errors under attack."""
    return [] if manifest.adversarial is None else [pgd(manifest.adversarial["steps"]), AUTOATTACK]


def definition(manifest: Manifest, metric: str, count: str) -> str:
    """Say what an attack was, and how many images it was tried on.

    Args:
        manifest: of a study that attacks.
        metric: one of :func:`names`.
        count: the images, e.g. ``"10,000 test images"``.
    """
    assert manifest.adversarial is not None
    settings = manifest.adversarial
    radius = f"within {levels(settings['epsilon'])} of the image in the maximum norm, on {count}"
    if metric == AUTOATTACK:
        version, batch = settings["autoattack"]["version"], settings["autoattack"]["batch_size"]
        return f"AutoAttack error: its {version} version in batches of {batch}, {radius}."
    restarts = settings["restarts"]
    starts = "one uniform start" if restarts == 1 else f"the worst of {restarts} uniform starts"
    return f"PGD-{settings['steps']} error: {starts}, steps of {levels(settings['step_size'])}, {radius}."


def further(results: Results) -> list[str]:
    """Return the metrics under attack that stand in a table of their own: weighted accuracies, adaptive error, router.

    They are of the weights that the main table is of.
    """
    own = (WEIGHTED, ADAPTIVE, SUSPECTED, TRUSTED)
    found = [name for name in results.metrics if name.startswith(own) and name.endswith(SELECTED) == bool(results.last)]
    return sorted(found, key=lambda name: next(place for place, start in enumerate(own) if name.startswith(start)))


def further_caption(manifest: Manifest, results: Results) -> str:
    """Say what the metrics of :func:`further` are, and on how many images."""
    sentences = []
    weighted = [name for name in further(results) if name.startswith(WEIGHTED)]
    if weighted:
        counts = ", ".join(f"{name.removeprefix(WEIGHTED)}: {_images(results, name)}" for name in weighted)
        sentences.append(
            "Weighted robust accuracy in percent, higher is better: (accuracy without an attack + accuracy under it) / "
            f"2, both on the test images that the attack was tried on ({counts})."
        )
    if manifest.adaptive is not None:
        settings = manifest.adaptive
        restarts = settings["restarts"]
        starts = "one uniform start" if restarts == 1 else f"{restarts} uniform starts"
        weights = ", ".join(f"{weight:g}" for weight in settings["weights"])
        sentences.append(
            f"Adaptive error in percent, lower is better, of networks with a router: PGD-{settings['steps']}, then as "
            "many steps up the cross-entropy plus a weight times the router's, so that it takes the adversarial image "
            f"for clean, with the weights {weights} and {starts} each; steps of {levels(settings['step_size'])}, "
            f"within {levels(settings['epsilon'])} of the image in the maximum norm; the worst case, image by image, "
            f"on {_images(results, next(name for name in further(results) if name.startswith(ADAPTIVE)))} test images. "
            "AutoAttack tries more steps and targets: where its error is higher, this one is no worst case. What the "
            "router makes of these images, in percent: clean ones that it suspects to be adversarial; of those that "
            "were attacked, being right before, the ones that it trusts as clean."
        )
    return f"{' '.join(sentences)} Means over seeds ± sample standard deviations; in bold the best mean of each group."


def _images(results: Results, metric: str) -> str:
    counts = {row[metric].n for row in results.values.values() if metric in row} - {None}
    return " or ".join(f"{count:,}" for count in sorted(filter(None, counts)))


def levels(value: float) -> str:
    """Write a distance in grey levels where it is a whole number of them: ``8/255``."""
    whole = round(255 * value)
    return f"{whole}/255" if abs(255 * value - whole) < 1e-9 else f"{value:g}"


def subset(manifest: Manifest, results: Results) -> str:
    """Say that AutoAttack's images are fewer than PGD's, where they are: else its error would look impossibly low."""
    if manifest.adversarial is None:
        return ""
    counts = [{row[name].n for row in results.values.values()} for name in names(manifest)]
    if counts[0] == counts[1]:
        return ""
    return (
        "AutoAttack tried fewer images than PGD did, so that its error may lie below PGD's: compare it within its own "
        "column alone."
    )


def signs(manifest: Manifest, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name every sign of masked gradients, of the last epoch's weights and of the selected ones, or say: none."""
    if manifest.adversarial is None:
        return []
    found = []
    for entry, record in zip(manifest.entries, records, strict=True):
        kept = record.get("warnings") or {}
        last = list(kept.get("last", ()))
        # Where the last epoch was selected, both are one network, and one warning is enough.
        texts = [*last, *(f"(best) {text}" for text in kept.get("best", ()) if text not in last)]
        found += [f"{entry.label.method}, seed {entry.seed}: {text}" for text in texts]
    if not found:
        return ["No sign of masked gradients was seen."]
    rest = f" And {len(found) - MOST} more, in records.json." if len(found) > MOST else ""
    return [f"WARNING, signs of masked gradients: {' '.join(found[:MOST])}{rest}"]
