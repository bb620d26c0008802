"""An evaluation's options as words of a command line, derived from their type; and back."""

import argparse
import json
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ews.core.errors import EwsError
from ews.pipeline.evaluate.evaluation_specs import Options

O = TypeVar("O", bound=Options)  # noqa: E741


def add(parser: argparse.ArgumentParser, kind: type[Options]) -> None:
    """Add an option for each field: required without a default, of several words where the field is a tuple."""
    for name, field in kind.model_fields.items():
        several = typing.get_origin(field.annotation) is tuple
        parser.add_argument(
            flag(name),
            required=field.is_required(),
            nargs="+" if several else None,
            default=argparse.SUPPRESS,
            help=(field.description or "").replace("%", "%%"),
        )


def parsed(kind: type[O], given: Mapping[str, str | list[str]]) -> O:
    """Return the options that were given, by field, as text.

    Raises:
        EwsError: a value is not one of its field's; a line for each.
    """
    values = {
        name: [_value(word) for word in text] if isinstance(text, list) else _value(text)
        for name, text in given.items()
    }
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            name, *place = problem["loc"]
            lines.append(f"{flag(str(name))} {_text(given, str(name), place)}: {problem['msg']}.")
        raise EwsError("\n".join(lines)) from None


def words(options: Options) -> list[str]:
    """Return the words of a command line that give these options; those that have their default are left out."""
    found: list[str] = []
    for name, value in options.model_dump(mode="json").items():
        field = type(options).model_fields[name]
        if field.is_required() or value != field.default:
            found += [flag(name), *map(str, value if isinstance(value, list) else [value])]
    return found


def flag(name: str) -> str:
    """Return how the command line spells a field."""
    return f"--{name.replace('_', '-')}"


def _value(word: str) -> Any:
    """Read a number, or take the text: `8/255` and names stay what they are."""
    try:
        found = json.loads(word)
    except (ValueError, RecursionError):  # endless brackets are text too
        return word
    return found if isinstance(found, int | float) and not isinstance(found, bool) else word


def _text(given: Mapping[str, str | list[str]], name: str, place: list[int | str]) -> str:
    text = given.get(name, "")
    if isinstance(text, str):
        return text
    return text[place[0]] if place and isinstance(place[0], int) and place[0] < len(text) else " ".join(text)
