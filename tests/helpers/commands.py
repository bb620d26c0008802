"""Every command of the command line with its options, as its parsers say them."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ews import cli
from ews.core.command_line import Parser


class Stopped(Exception):
    """In the place of what a command does after its words are read."""


@dataclass(frozen=True)
class Command:
    """A command: its words, and its own options with those of the command above."""

    words: tuple[str, ...]
    options: tuple[argparse.Action, ...]

    @property
    def name(self) -> str:
        return " ".join(self.words)

    def of(self, *kinds: type) -> list[argparse.Action]:
        """Return the options of these types."""
        return [option for option in self.options if isinstance(option.type, kinds)]


def commands() -> list[Command]:
    """Return every command."""

    def stop(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise Stopped(self)

    def below(parser: Parser, words: tuple[str, ...], above: tuple[argparse.Action, ...]) -> Iterator[Command]:
        own = tuple(option for option in parser.options if not isinstance(option.choices, dict))
        groups = [option for option in parser.options if isinstance(option.choices, dict)]
        if not groups:
            yield Command(words, (*above, *own))
        for group in groups:
            for word, inner in group.choices.items():  # type: ignore[union-attr]
                yield from below(inner, (*words, word), (*above, *own))

    found: list[Command] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(Parser, "parse_args", stop)
        for name, verb in cli.VERBS.items():
            with pytest.raises(Stopped) as stopped:
                verb.main([])
            parser = stopped.value.args[0]
            assert isinstance(parser, Parser), f"ews {name}: its parser is not ews.core.command_line.Parser"
            found += below(parser, tuple(name.split()), ())
    return found
