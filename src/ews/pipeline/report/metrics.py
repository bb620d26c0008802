"""What the measured numbers are called: metrics, corruptions, perturbations and their short names."""

from collections.abc import Collection, Sequence

CLEAN = "clean error"
BEST = "clean error (best)"
CORRUPTION = "corruption error"
VALIDATION = "validation error"
TRAIN = "train error"
PER_CORRUPTION = "error: "
# Normalised by AlexNet's published numbers, and so for data sets with the constants of ImageNet alone.
MCE = "mCE"
MFR = "mFR"
MFP = "mFP"
PER_PERTURBATION = "flip probability: "
PER_RATE = "flip rate: "
SINGLE = (PER_CORRUPTION, PER_PERTURBATION, PER_RATE)
AUTOATTACK = "autoattack error"
ADAPTIVE = "adaptive error"
# Of a network with a router, in percent: mistakes on clean images, and on images that the adaptive attacks made.
SUSPECTED = "clean images suspected"
TRUSTED = "adversarial images trusted"
WEIGHTED = "weighted robust accuracy: "  # An accuracy: higher is better.
SELECTED = " (best)"  # Ends the name of a metric of the weights that validation images selected.

# The 15 corruptions that "corruption error" is defined over (Hendrycks and Dietterich 2019), in their order;
# a test holds this list to the one that the corruptions are made from.
BENCHMARK = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
SEVERITIES = (1, 2, 3, 4, 5)
# The 10 perturbations that mFP and mFR are defined over, in their order; a test holds this list to the sequences.
PERTURBATIONS = (
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
)
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


def pgd(steps: int) -> str:
    """Return what the error under PGD with so many steps is called."""
    return f"pgd-{steps} error"


def published(metric: str, measured: Collection[str]) -> str | None:
    """Return the name under which the papers' number for a metric is kept; None where it stands beside another one.

    Where networks are attacked the paper stops early: its numbers stand beside the errors of the weights that
    validation images selected, if these were attacked too, and not beside those of the last epoch.

    Args:
        metric: measured here.
        measured: all that were, of the same row.
    """
    if AUTOATTACK + SELECTED not in measured:
        return metric
    return None if metric + SELECTED in measured else metric.removesuffix(SELECTED)


def short(corruption: str) -> str:
    """Return a corruption's name for a narrow column."""
    return _SHORT.get(corruption, corruption.replace("_", " ").capitalize())


def averaged(corruptions: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return what the mean over the evaluated corruptions is called, and which of them it is taken over.

    "corruption error" means the 15 of the benchmark; with any of these missing it is an "error on N
    corruptions", over all that were evaluated. Corruptions beyond the 15 stay out of the mean.
    """
    if set(BENCHMARK) <= set(corruptions):
        return CORRUPTION, BENCHMARK
    return f"error on {len(corruptions)} corruption{'s' if len(corruptions) > 1 else ''}", tuple(corruptions)


def stability(perturbations: Sequence[str]) -> str:
    """Return what the mean flip probability over the evaluated perturbations is called: "mFP" means all ten."""
    if set(PERTURBATIONS) <= set(perturbations):
        return MFP
    return f"flip probability on {len(perturbations)} perturbation{'s' if len(perturbations) > 1 else ''}"


def headline(
    evaluations: Sequence[str], corruptions: Sequence[str], perturbations: Sequence[str], *, imagenet: bool
) -> list[str]:
    """Return the metrics of the main table.

    Args:
        evaluations: the study's.
        corruptions: those evaluated.
        perturbations: likewise.
        imagenet: whether every row is of a data set with the constants of ImageNet; then mCE and mFR stand for
            the plain means, provided that nothing of the benchmark is missing.
    """
    metrics = []
    if "clean" in evaluations:
        metrics.append(CLEAN)
    if "corruption" in evaluations:
        plain = averaged(corruptions)[0]
        metrics.append(MCE if imagenet and plain == CORRUPTION else plain)
    if "perturbation" in evaluations:
        plain = stability(perturbations)
        metrics.append(MFR if imagenet and plain == MFP else plain)
    return metrics


def ordered(corruptions: Sequence[str]) -> list[str]:
    """Return the benchmark's corruptions in its order, then the others in theirs."""
    rank = {name: place for place, name in enumerate(BENCHMARK)}
    return sorted(corruptions, key=lambda name: rank.get(name, len(rank)))
