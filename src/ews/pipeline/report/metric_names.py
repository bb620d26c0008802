"""What the measured numbers are called: the evaluations' own names, those of training runs, and short names."""

from collections.abc import Collection

from ews.pipeline.evaluate.adversarial.adversarial_scores import AUTOATTACK, WEIGHTED
from ews.pipeline.evaluate.clean.clean_scores import BEST, CLEAN
from ews.pipeline.evaluate.corruption.corruption_scores import PER_CORRUPTION
from ews.pipeline.evaluate.filters.filters_scores import FILTERS, PURE
from ews.pipeline.evaluate.mimicry.mimicry_scores import MIMICKED, SPREAD
from ews.pipeline.evaluate.perturbation.perturbation_scores import PER_PERTURBATION, PER_RATE
from ews.pipeline.evaluate.scores import SELECTED
from ews.pipeline.evaluate.subnets.subnets_scores import SUBNETS

__all__ = [
    "BEST",
    "CLEAN",
    "HIGHER",
    "NEUTRAL",
    "SELECTED",
    "SINGLE",
    "TRAIN",
    "VALIDATION",
    "column",
    "published",
    "short",
]

VALIDATION = "validation error"
TRAIN = "train error"
SINGLE = (PER_CORRUPTION, PER_PERTURBATION, PER_RATE)
HIGHER = (WEIGHTED,)
"""Beginnings of metrics of which more is better."""
NEUTRAL = (MIMICKED, SPREAD, FILTERS, SUBNETS)
"""Beginnings of metrics of which neither more nor less is better: they describe."""

_SHORT = {
    "gaussian_noise": "Gauss.",
    "shot_noise": "Shot",
    "impulse_noise": "Impulse",
    "speckle_noise": "Speckle",
    "defocus_blur": "Defocus",
    "glass_blur": "Glass",
    "motion_blur": "Motion",
    "zoom_blur": "Zoom",
    "gaussian_blur": "Gauss. blur",
    "brightness": "Bright.",
    "elastic_transform": "Elastic",
    "pixelate": "Pixel",
    "jpeg_compression": "JPEG",
}


def published(metric: str, measured: Collection[str]) -> str | None:
    """Return the name under which the papers' number for a metric is kept; None where it stands beside another one.

    Where networks are attacked the paper stops early: its numbers stand beside the errors of the weights that
    validation images selected, if these were attacked too, and not beside those of the last epoch.

    Args:
        metric: measured here.
        measured: all that were, of the same row.
    """
    if not any(name.endswith(AUTOATTACK + SELECTED) for name in measured):
        return metric
    return None if metric + SELECTED in measured else metric.removesuffix(SELECTED)


def column(metric: str) -> str:
    """Return the head of a metric's column: with its unit, if it has one."""
    return metric if metric.startswith(PURE) else f"{metric} (%)"


def short(corruption: str) -> str:
    """Return a corruption's name for a narrow column."""
    return _SHORT.get(corruption, corruption.replace("_", " ").capitalize())
