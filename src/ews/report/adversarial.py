"""What a caption says of attacks: what they were, whose weights were attacked, and reasons to distrust the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from ews.report.manifest import Manifest
from ews.report.metrics import AUTOATTACK, SELECTED, pgd
from ews.report.table_data import Results

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


def levels(value: float) -> str:
    """Write a distance in grey levels where it is a whole number of them: ``8/255``."""
    whole = round(255 * value)
    return f"{whole}/255" if abs(255 * value - whole) < 1e-9 else f"{value:g}"


def selection(results: Results) -> str:
    """Say where the errors of the selected weights stand, if any were attacked."""
    metrics = {name for row in results.values.values() for name in row if name.endswith(SELECTED)}
    if AUTOATTACK + SELECTED not in metrics:
        return ""
    return (
        " Errors under attack of the epoch that validation images selected stand in table.csv as (best); the paper "
        "reports a selected epoch, and the released code selects it on the test set."
    )


def signs(manifest: Manifest, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name every sign of masked gradients in the weights of the last epoch, or say that there was none."""
    if manifest.adversarial is None:
        return []
    found = [
        f"{entry.label.method}, seed {entry.seed}: {text}"
        for entry, record in zip(manifest.entries, records, strict=True)
        for text in (record.get("warnings") or {}).get("last", ())
    ]
    if not found:
        return ["No sign of masked gradients was seen."]
    rest = f" And {len(found) - MOST} more, in records.json." if len(found) > MOST else ""
    return [f"WARNING, signs of masked gradients: {' '.join(found[:MOST])}{rest}"]
