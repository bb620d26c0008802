"""Files as accidents and hand edits leave them: every field of JSON, every cell and row of CSV, bytes of the rest."""

import copy
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

Spoilt = tuple[str, bytes]
"""What was done, and the file's new content."""
PLACES = 16


def spoilt(path: Path) -> Iterator[Spoilt]:
    """Yield a file's content with one fault each; by the file's ending every kind of fault that it can have."""
    content = path.read_bytes()
    if path.suffix == ".json":
        for what, changed in _json(json.loads(content), ""):
            yield what, json.dumps(changed, indent=2).encode()
    elif path.suffix == ".csv":
        yield from _csv(content.decode())
    else:
        yield from _bytes(content)
    yield "cut in half", content[: len(content) // 2]
    yield "emptied", b""


def kinds(path: Path) -> Iterator[Spoilt]:
    """Yield one of each kind of fault: the last of each first word of :func:`spoilt`."""
    found = {what.split()[0]: (what, content) for what, content in spoilt(path)}
    yield from found.values()


def _json(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield a JSON value with one leaf changed, one key or item dropped, two items swapped or one repeated."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"drop {place}.{key}", {name: own for name, own in value.items() if name != key}
            for what, changed in _json(inner, f"{place}.{key}"):
                yield what, {**value, key: changed}
        yield f"add {place}", {**value, "another": 1}
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield f"drop {place}[{number}]", value[:number] + value[number + 1 :]
            for what, changed in _json(inner, f"{place}[{number}]"):
                yield what, [*value[:number], changed, *value[number + 1 :]]
        if value:
            yield f"append {place}", [*value, copy.deepcopy(value[-1])]
        for number, (first, second) in enumerate(pairwise(value)):
            if first != second:
                yield f"swap {place}[{number}]", [*value[:number], second, first, *value[number + 2 :]]
    else:
        yield f"change {place}", _other(value)


def _other(value: Any) -> Any:
    """Return another value of the same type: with its last digit or letter changed."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value[:-1] + ("b" if value[-1] == "a" else "a") if value else "a"
    changed = json.loads(_digit(json.dumps(value)))
    return changed if changed != value else value + 1


def _digit(text: str) -> str:
    """Change a text's last digit before an exponent."""
    place = max(found.start() for found in re.finditer(r"\d", text.split("e")[0]))
    return text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]


def _csv(text: str) -> Iterator[Spoilt]:
    """Yield a table with one cell changed, one row dropped, two swapped, one appended, or one column less."""
    lines = text.splitlines()
    rows = [line.split(",") for line in lines]

    def joined(changed: list[list[str]]) -> bytes:
        return "".join(",".join(row) + "\n" for row in changed).encode()

    for number, row in enumerate(rows[1:], start=1):
        yield f"drop row {number}", joined(rows[:number] + rows[number + 1 :])
        for column, cell in enumerate(row):
            other = _digit(cell) if re.search(r"\d", cell.split("e")[0]) else f"{cell}1"
            yield (
                f"change row {number} column {column}",
                joined([*rows[:number], [*row[:column], other, *row[column + 1 :]], *rows[number + 1 :]]),
            )
    for number, (first, second) in enumerate(pairwise(rows[1:]), start=1):
        if first != second:
            yield f"swap row {number}", joined([*rows[:number], second, first, *rows[number + 2 :]])
    if len(rows) > 1:
        yield "append a row", joined([*rows, rows[-1]])
        yield "halve the rows", joined(rows[: 1 + len(rows) // 2 - (len(rows) == 2)])
    for column in range(len(rows[0])):
        yield f"without column {column}", joined([row[:column] + row[column + 1 :] for row in rows])


def _bytes(content: bytes) -> Iterator[Spoilt]:
    """Yield bytes with one bit changed, at places from the first to the last, with one more, or some exchanged."""
    for number in range(PLACES + 1):
        place = number * (len(content) - 1) // PLACES
        yield f"flip byte {place}", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    yield "append a byte", content + b"\0"
    middle = len(content) // 2
    turned = content[:middle] + content[middle : middle + 64][::-1] + content[middle + 64 :]
    if turned != content:
        yield "exchange bytes", turned
