"""The 19 common corruptions of Hendrycks and Dietterich (2019), seeded per image, for images of any size.

:func:`corrupt` is the whole interface; ``ews corrupt --help`` is the same for files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.corruptions.profiles import PROFILES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BENCHMARK", "EXTRA", "NAMES", "PROFILES", "SEVERITIES", "corrupt"]

# In the order of the paper's tables. The last four were held out for validation.
NAMES: tuple[str, ...] = tuple(CORRUPTIONS)
BENCHMARK: tuple[str, ...] = NAMES[:15]
EXTRA: tuple[str, ...] = NAMES[15:]
SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)


def corrupt(
    images: NDArray[np.uint8],
    *,
    name: str,
    severity: int,
    seed: int,
    profile: str = "cifar",
    indices: Sequence[int] | NDArray[np.integer] | None = None,
) -> NDArray[np.uint8]:
    """Return corrupted copies of a batch of images.

    The result for an image depends on its pixels and on (seed, name, severity, its index) alone:
    batches of any size and order give the same bytes.

    Args:
        images: uint8 [N, H, W, 3], RGB, both sides at least 16 pixels; N may be 0.
        name: one of :data:`NAMES`.
        severity: 1 (mild) to 5 (strong).
        seed: any integer; names the random streams.
        profile: whose constants: ``"cifar"`` (published for 32x32), ``"tiny"`` (64x64) or
            ``"imagenet"`` (224x224). Other sizes work; lengths in the constants stay in pixels.
        indices: [N] the images' numbers in their set, 0 or more; by default 0..N-1.

    Returns:
        uint8 [N, H, W, 3].

    Raises:
        ValueError: an argument is not as above; the message names the valid values.
        EwsError: frost's photographs are not installed.
    """
    # Here, so that the names can be had without NumPy: planning a study needs no more.
    from ews.corruptions.corrupt_images import apply, check_name

    check_name(name, NAMES)
    function = CORRUPTIONS[name].implementation()
    return apply(function, images, name=name, severity=severity, seed=seed, profile=profile, indices=indices)
