"""The kinds of source: how what is downloaded, or lies in a folder, is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ews.core.registry import Registry

if TYPE_CHECKING:
    from ews.data.raw import Raw


@dataclass(frozen=True)
class Reader:
    """A kind of source.

    Attributes:
        name: the value of ``kind`` in the manifest of sources.
        implementation: imports and returns its reader, ``read(archive, ...) -> Raw``: the archive or folder (None where
            the images come with a library), and by keyword what the manifest says beside it. The code fingerprint of a
            dataset follows the import in this function's body.
    """

    name: str
    implementation: Callable[[], Callable[..., Raw]]


def _digits() -> Callable[..., Raw]:
    from ews.data.digits import read

    return read


def _cifar_binary() -> Callable[..., Raw]:
    from ews.data.cifar_binary import read

    return read


def _image_folder() -> Callable[..., Raw]:
    from ews.data.image_folder import read

    return read


def _cifar_c() -> Callable[..., Raw]:
    from ews.data.cifar_c import read

    return read


READERS = Registry(
    "kind of source",
    Reader("digits", _digits),
    Reader("cifar_binary", _cifar_binary),
    Reader("image_folder", _image_folder),
    Reader("cifar_c", _cifar_c),
)
