"""Stratified choices of examples that are the same on every machine and NumPy version."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ews.core.errors import EwsError, listed
from ews.core.seeds import stream_seed


def stratified(labels: NDArray[np.integer], count: int, *, key: str | tuple[int | str, ...]) -> NDArray[np.int64]:
    """Choose ``count`` examples with the classes in the proportions of ``labels``.

    Each class gets its share of ``count`` rounded down; the places left over go to the largest
    fractional parts (Hamilton's method), equal ones in an order drawn from ``key``. Within a class
    the choice is the start of one random order, so that a class's part of a larger choice contains
    its part of a smaller one.

    Args:
        labels: int array [N], the class of each example.
        count: how many to choose, 0 to N.
        key: names the random stream; the same key, labels and count give the same choice.

    Returns:
        The chosen positions in ``labels``: sorted, distinct, int64 [count].

    Raises:
        EwsError: ``count`` is negative or larger than N.
    """
    total = len(labels)
    if not 0 <= count <= total:
        raise EwsError(f"stratified choice: {count} of {total} examples wanted; valid: 0 to {total}.")
    if count == 0:
        return np.empty(0, dtype=np.int64)
    key = (key,) if isinstance(key, str) else key
    classes, sizes = np.unique(np.asarray(labels), return_counts=True)
    # Whole numbers throughout: a share such as 0.1 * 30 must not depend on rounding.
    shares, remainders = np.divmod(count * sizes.astype(np.int64), total)
    order = _random_order(len(classes), *key, "classes")
    by_remainder = order[np.argsort(-remainders[order], kind="stable")]
    shares[by_remainder[: count - shares.sum()]] += 1
    chosen = []
    for name, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == name)
        chosen.append(members[_random_order(len(members), *key, "class", int(name))[:share]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def check_held_out(
    labels: NDArray[np.integer], held_out: NDArray[np.integer], *, classes: Sequence[str], where: str
) -> None:
    """Refuse validation images that leave a class without images to train on.

    Args:
        labels: int array [N], the class of each training image.
        held_out: int array [V], positions of those held out for validation.
        classes: their names, by label.
        where: which dataset or key path, for the message.

    Raises:
        EwsError: names the classes.
    """
    lost = np.setdiff1d(labels, np.delete(labels, held_out))
    if len(lost) > 0:
        names = listed(repr(classes[label]) for label in lost)
        raise EwsError(
            f"{where}: {len(held_out)} of {len(labels)} training images are held out for validation, and none is left "
            f"of class {names}. Lower the dataset's `validation`, and prepare it again."
        )


def _random_order(count: int, *key: int | str) -> NDArray[np.intp]:
    # Raw bits, not Generator.permutation: NumPy promises the former for good, the latter only within a version.
    return np.argsort(np.random.PCG64(stream_seed(*key)).random_raw(count), kind="stable")
