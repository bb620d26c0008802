"""What a command reads and what it writes, as its options say; an output that would harm an input is refused.

Each option of a command line that names a file or a folder has one of the types here. :class:`Parser` reads the words
and, before anything is done, compares what is written with what is read: through links, ``..`` and mounted folders.
"""

import argparse
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from ews.core.errors import EwsError, did_you_mean


@dataclass(frozen=True)
class Reads:
    """Type of an option that names what is only read: text to path."""

    def __call__(self, text: str) -> Path:
        return Path(text)

    def places(self, value: Any) -> list[Path]:
        """Return the files and folders that an option's value names."""
        return [Path(one) for one in (value if isinstance(value, list) else [value])]

    # argparse names the type where it refuses a word.
    __name__ = "path"


@dataclass(frozen=True)
class ReadsText(Reads):
    """Type of an option with a place within a text, which stays text: ``@FILE``, ``ROLE=FOLDER``, a file or a URL.

    Attributes:
        form: regular expression of a text with such a place, its only group; a URL is no place, but ``file://`` is.
    """

    form: str = "(.+)"

    def __call__(self, text: str) -> str:  # type: ignore[override]
        return text

    def places(self, value: Any) -> list[Path]:
        """Return the files and folders that an option's value names."""
        found = []
        for text in value if isinstance(value, list) else [value]:
            match = re.fullmatch(self.form, text)
            if match and match[1].startswith("file://"):
                found.append(Path(unquote(urlsplit(match[1]).path)))
            elif match and "://" not in match[1]:
                found.append(Path(match[1]))
        return found


@dataclass(frozen=True)
class Writes:
    """Type of an option that names what is written: text to path.

    Attributes:
        files: names or patterns of the files that are written into the folder, others are left alone; empty: the
            option names a file, or a folder that is the command's own.
        beside: names of other options in whose place the output may lie, or around which: results beside their run.
    """

    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def __call__(self, text: str) -> Path:
        return Path(text)

    __name__ = "path"


@dataclass(frozen=True)
class Caches:
    """Type of an option that names a folder of downloads: held to their checksums, whatever else lies there."""

    def __call__(self, text: str) -> Path:
        return Path(text)

    __name__ = "path"


class Parser(ArgumentParser):
    """A parser of a command line that refuses outputs which would harm inputs or each other.

    Attributes:
        options: what it takes, in the order in which it was added; subcommands are parsers of this kind, too.
        unnamed: what it reads though no option names it, by what to call it.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Take what :class:`argparse.ArgumentParser` takes."""
        self.options: list[argparse.Action] = []
        self.unnamed: dict[str, Sequence[Path]] = {}
        self._words: list[str] = []
        super().__init__(*arguments, **more)

    def add_argument(self, *names: Any, **more: Any) -> argparse.Action:
        """Add an option; one that names a file or a folder says whether it is read or written.

        Raises:
            TypeError: it does not.
        """
        if more.get("type") is Path:
            raise TypeError(f"{names[0]}: type=Path does not say whether it is read or written: Reads() or Writes().")
        self.options.append(super().add_argument(*names, **more))
        return self.options[-1]

    def add_subparsers(self, **more: Any) -> Any:
        """Add subcommands."""
        self.options.append(super().add_subparsers(**more))
        return self.options[-1]

    def parse_args(self, *arguments: Any, **more: Any) -> Any:
        """Read a command line.

        Raises:
            EwsError: an output is an input, lies in one or around one; or two outputs are the same.
        """
        found = super().parse_args(*arguments, **more)
        check_options(found, self.chosen(found), unnamed=self.unnamed)
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read a command line as far as its options are known."""
        self._words = [str(word) for word in (sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with the usage and what is wrong: a misspelt option before the one that it leaves missing."""
        super().error(self._unknown_option() or f"{message}{self._meant(message)}")

    def _unknown_option(self) -> str:
        """Return which option of the words is none, and which one is meant; empty where there is none."""
        known = list(self._names())
        for word in self._words:
            name = word.partition("=")[0]
            if word == "--":
                break
            if re.fullmatch(r"--\w[\w-]*", name) and not any(one.startswith(name) for one in known):
                bare = any(action.dest == name[2:] and not action.option_strings for action in self.options)
                meant = f" {name[2:].upper()} is given without a name." if bare else did_you_mean(name, known)
                return f"unknown option {name}.{meant}"
        return ""

    def _names(self) -> Iterator[str]:
        """Yield the options, with those of subcommands."""
        for action in self.options:
            yield from action.option_strings
            if isinstance(action.choices, dict):
                for parser in action.choices.values():
                    yield from parser._names()
        yield "--help"

    def _meant(self, message: str) -> str:
        """Return what is probably meant: which of the valid words, or an option in its right place."""
        late = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        if late and any(late[1].partition("=")[0] in action.option_strings for action in self.options):
            return f"; {late[1]} stands before the subcommand: {self.prog} {late[1]} ..."
        refused = re.search(r"invalid choice: '([^']*)'", message)
        choices = [str(one) for action in self.options for one in action.choices or ()]
        return did_you_mean(refused[1], choices) if refused else ""

    def chosen(self, found: Namespace) -> Iterator[argparse.Action]:
        """Yield the options and those of the subcommand that a command line has chosen."""
        for action in self.options:
            if isinstance(action.choices, dict):
                yield from action.choices[getattr(found, action.dest)].chosen(found)
            else:
                yield action


def check_options(
    found: Namespace, options: Iterable[argparse.Action], *, unnamed: Mapping[str, Sequence[Path]]
) -> None:
    """Compare what the options of a command line write with what they and the command read.

    Args:
        found: their values.
        options: of the command and of the chosen subcommand.
        unnamed: as in :class:`Parser`.

    Raises:
        EwsError: an output is an input, lies in one or around one; or two outputs are the same.
    """
    given = [(option, value) for option in options if (value := getattr(found, option.dest, None))]
    read = [(option, option.type.places(value)) for option, value in given if isinstance(option.type, Reads)]
    written = [(option, option.type, value) for option, value in given if isinstance(option.type, Writes)]
    for number, (option, kind, out) in enumerate(written):
        named = {_called(other): places for other, places in read if other.dest not in kind.beside}
        inputs: dict[str, Sequence[Path]] = {**named, **unnamed}
        check_places(out, inputs=inputs, option=_called(option), files=kind.files)
        for other, same_kind, place in written[:number]:
            if not kind.files and not same_kind.files and same_place(out, place):
                raise EwsError(
                    f"{_called(option)} {out}: is what {_called(other)} names, too. Name another place for one of them."
                )


def check_places(
    out: Path, *, inputs: Mapping[str, Iterable[Path]], option: str = "--out", files: Sequence[str] = ()
) -> None:
    """Refuse an output that is an input, lies in one or around one.

    Args:
        out: the file or folder to be written.
        inputs: the files and folders that are read, by the option that names them.
        option: what the command line calls the output.
        files: as :class:`Writes`.

    Raises:
        EwsError: it would harm one of them.
    """
    for name, places in inputs.items():
        for place in places:
            named = f"{name} {place}".strip()
            is_folder = place.is_dir() or not place.exists()
            if same_place(out, place):
                raise EwsError(f"{option} {out}: would overwrite {named}, which is read. Name another place.")
            if is_folder and _inside(out, place):
                raise EwsError(f"{option} {out}: lies inside {named}, which is only read. Name a place outside.")
            if _inside(place, out) and (place.is_dir() or not files or _matches(place, out, files)):
                what = "would overwrite" if files and not place.is_dir() else "holds"
                raise EwsError(f"{option} {out}: {what} {named}, which is only read. Name a place of its own.")


def same_place(one: Path, other: Path) -> bool:
    """Say whether two paths lead to the same file or folder, there or not yet."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _inside(inner: Path, outer: Path) -> bool:
    """Say whether a path leads into a folder, however deep."""
    return any(same_place(folder, outer) for folder in inner.resolve().parents)


def _matches(place: Path, folder: Path, files: Sequence[str]) -> bool:
    """Say whether a file within a folder is one of those that are written there."""
    resolved = place.resolve()
    return same_place(resolved.parent, folder) and any(fnmatch(resolved.name, pattern) for pattern in files)


def _called(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else action.dest
