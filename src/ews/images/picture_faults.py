"""What cannot be used of many files: all of it is found before anything is refused, and the message stays short."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ews.core.errors import EwsError

# Lines of a message; with more faults the full list goes to standard output.
SHOWN = 10


@dataclass(frozen=True)
class Fault:
    """A file or folder that cannot be used.

    Attributes:
        path: below the folder that was searched, or in the archive.
        reason: what is wrong, without the path.
    """

    path: str
    reason: str


class BadPictures(EwsError):
    """Everything that is wrong in a folder or an archive; the message holds the first :data:`SHOWN`.

    Attributes:
        where: the folder or archive.
        faults: all of them.
    """

    def __init__(self, where: str, faults: Sequence[Fault], remedy: str) -> None:
        self.where, self.faults = where, tuple(faults)
        lines = [f"{where}/{fault.path}: {fault.reason}." for fault in self.faults[:SHOWN]]
        if len(self.faults) == 1:
            super().__init__(f"{lines[0]} {remedy}")
            return
        if len(self.faults) > SHOWN:
            lines.append(f"... and {len(self.faults) - SHOWN:,} more; all of them stand on standard output.")
        super().__init__("\n".join([f"{where}: {len(self.faults):,} files or folders cannot be used.", *lines, remedy]))


@contextmanager
def listed_in_full() -> Iterator[None]:
    """Print all faults, a line each, to standard output where the block ends in more than its message holds."""
    try:
        yield
    except BadPictures as error:
        if len(error.faults) > SHOWN:
            print_faults(error.where, error.faults)
        raise


def print_faults(where: str, faults: Sequence[Fault]) -> None:
    """Print faults to standard output, a line each: the path, a tab, the reason."""
    for fault in faults:
        print(f"{where}/{fault.path}\t{fault.reason}", flush=True)
