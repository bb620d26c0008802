"""Where values of a settings file stand, and errors that name it: file, line and column of a key path."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ews.core.errors import EwsError


@dataclass(frozen=True)
class Place:
    """Where something stands: a file, and from 1 its line and column."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}"


@dataclass(frozen=True)
class Content:
    """What a YAML file holds.

    Attributes:
        value: mappings with text as keys, lists, text, whole and other numbers, truth values and None.
        name: the file, or files, for messages.
        places: where each key or entry of a list stands, by its key path as :func:`key_path` writes it.
    """

    value: Any
    name: str
    places: Mapping[str, Place] = field(repr=False)

    @contextlib.contextmanager
    def located(self, alias: str | None = None) -> Iterator[None]:
        """Name the line and column in errors of the block whose lines begin with the file's name and a key path.

        Args:
            alias: what the block calls the file; default: its name.
        """
        try:
            yield
        except EwsError as error:
            prefix = f"{alias or self.name}: "
            error.args = ("\n".join(self._located(line, prefix) for line in str(error).split("\n")),)
            raise

    def _located(self, line: str, prefix: str) -> str:
        if not line.startswith(prefix):
            return line
        text = line.removeprefix(prefix)
        ends = (found.start() for found in re.finditer(r"[ .:\[]|$", text))
        place = next((self.places[text[:end]] for end in sorted(ends, reverse=True) if text[:end] in self.places), None)
        return f"{place or self.name}: {text}"


def key_path(path: Sequence[int | str]) -> str:
    """Return a key path as messages have it, e.g. ``studies.mine.method[1]``."""
    text = ""
    for part in path:
        text = below(text, part)
    return text


def below(path: str, part: int | str) -> str:
    """Return the key path of a key, or of an entry of a list, below another one."""
    return f"{path}[{part}]" if isinstance(part, int) else f"{path}.{part}" if path else part
