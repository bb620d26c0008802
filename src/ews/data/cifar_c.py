"""The published corrupted test set of another source: no dataset; ``ews corrupt official`` takes files out of it."""

from pathlib import Path
from typing import NoReturn

from ews.core.errors import EwsError

KIND = "cifar_c"


def read(archive: Path | None) -> NoReturn:
    """Refuse to be a dataset: what stands in the registry for sources of this kind.

    Raises:
        EwsError: always; the message says where such a source is used.
    """
    raise EwsError(
        f"{archive}: a corrupted test set is no dataset. Name the dataset's own source, and write "
        "`corrupted: {source: official, ...}` below it."
    )
