"""Signs of masked gradients (Athalye et al., ICML 2018): reasons to distrust a low robust error.

A network whose gradients are useless withstands attacks that use them, and no others. None of these signs proves that;
each says that the attacks here may be too weak for this network.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ews.pipeline.evaluate.adversarial.adversarial_spec import Radius
from ews.pipeline.evaluate.metrics import error

SHARE = 0.2
"""Percentage points by which a weaker attack may be ahead: AutoAttack's own limit for Square (docs of its flags)."""

STANDING = 1.0
"""Percent of images that may stay correct at the largest radius [choice]: one of the hundred that are tried."""

GREY = 0.5
"""A change by which any pixel can be turned grey; where all can, no network can be right on all images."""


def radii(epsilon: float, grey: float = GREY) -> list[float]:
    """Return radii from ``epsilon`` on, doubled until one is at least ``grey``, none above twice that; none for 0.

    Args:
        epsilon: at least 0.
        grey: the radius within which any image can be turned into plain grey.
    """
    found = [epsilon] if epsilon > 0 else []
    while found and found[-1] < grey:
        found.append(min(2 * grey, 2 * found[-1]))
    return found


def signs(
    *,
    messages: Sequence[str],
    robust: Mapping[str, np.ndarray],
    pgd: np.ndarray,
    sweep: Sequence[Radius],
    unstable: int,
) -> list[str]:
    """Return every sign in a sentence; empty where there is none.

    Args:
        messages: AutoAttack's warnings.
        robust: bool [m] by attack of the ensemble, after it and all before it.
        pgd: bool [m], robust to PGD, on the same images.
        sweep: the error by radius, ascending.
        unstable: how many adversarial images were classified otherwise when computed again.
    """
    found = [f"AutoAttack warns{_times(count)}: {text}" for text, count in Counter(messages).items()]
    names = list(robust)
    if "square" in names:
        before = robust[names[names.index("square") - 1]]
        gain = error_of(robust["square"] & before) - error_of(before)
        if gain > SHARE:
            found.append(
                f"Square, which uses no gradients, adds {gain:.2f} percentage points to the error that attacks by "
                "gradients reach."
            )
    ahead = 100 * float(np.mean(robust[names[-1]] & ~pgd))
    if ahead > SHARE:
        found.append(f"PGD alone finds {ahead:.2f} % of images that AutoAttack does not.")
    if sweep and 100 - sweep[-1].error > STANDING:
        found.append(
            f"PGD within {sweep[-1].epsilon:g} of the image, where every image can be made plain grey, leaves "
            f"{100 - sweep[-1].error:.1f} % correct."
        )
    if unstable:
        found.append(f"{unstable} adversarial images are classified otherwise when they are computed again.")
    return found


def error_of(robust: np.ndarray) -> float:
    """Return the share of images that are not robust, in percent."""
    return error(robust.astype(np.int64), np.ones(len(robust), dtype=np.int64))


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"
