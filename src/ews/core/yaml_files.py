"""YAML files, read one way everywhere: YAML 1.2, each key once, one document, nothing evaluated, within bounds.

PyYAML scans and parses. Which scalar is which value (the core schema of YAML 1.2.2, section 10.3.2) and how nodes
make values is decided here, since PyYAML's own constructors read YAML 1.1: `010` as 8, `1:30` as 90, `1e-5` as text,
and of two equal keys the last. Merge keys (`<<`), which YAML 1.2 leaves to applications, are read as YAML 1.1 has them.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.error import Mark
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from ews.core.errors import EwsError
from ews.core.files import read_limited
from ews.core.places import Content, Place, below

BYTES = 2**20
"""How large a YAML file may be; the largest of the project has 4 % of it."""
LEVELS = 32
"""How deep sections and lists may stand in each other."""
NODES = 50_000
"""How many keys and values a file may have, with those that aliases repeat."""
NUMBER = 64
"""How many characters a number may have."""
INTEGER = 2**63
"""Whole numbers are smaller than this, so that every later step can hold them."""

_CORE = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (f"{_CORE}{name}" for name in ("null", "bool", "int", "float", "str"))
_MAP, _SEQ, _MERGE = (f"{_CORE}{name}" for name in ("map", "seq", "merge"))
_FORMS = {
    _NULL: re.compile(r"(?:~|null|Null|NULL|)\Z"),
    _BOOL: re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    _INT: re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    _FLOAT: re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    _MERGE: re.compile(r"<<\Z"),
}


def read_yaml(path: Path | str, *, missing: str) -> Content:
    """Read a YAML file.

    Args:
        path: the file.
        missing: what to do where it is not there, a sentence.

    Raises:
        EwsError: missing, unreadable, too large, or not what :func:`parse_yaml` takes.
    """
    return parse_yaml(read_limited(path, BYTES, missing=missing), name=str(path))


def parse_yaml(text: str, *, name: str) -> Content:
    """Read YAML 1.2: one document, each key once and as text, tags of the core schema alone.

    Raises:
        EwsError: anything else, or more than the bounds above; the message has the line and column.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        version = loader.yaml_version
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise EwsError(
            f"{Place(name, line, column)}: not valid YAML: the character {chr(int(error.character))!a} cannot stand "
            "in a text file. Remove it."
        ) from None
    except yaml.MarkedYAMLError as error:
        raise EwsError(_explained(error, name)) from None
    except (ValueError, OverflowError):  # an escape or a directive with a number that is none, or too large
        raise EwsError(f"{name}: not valid YAML: an escape or a directive has a number that is none.") from None
    if version not in (None, (1, 2)):
        raise EwsError(f"{name}: not valid YAML: it begins with %YAML, and not 1.2, which is read. Remove that line.")
    builder = _Builder(name)
    return Content(None if node is None else builder.build(node, "", 0), name, builder.places)


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return a section as YAML that :func:`parse_yaml` reads as the same: what would be read as a number is in quotes.

    Args:
        content: of the JSON types, keys in order; whole numbers within 64 bits, no NaN and no infinity.
    """
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, width=120)


class _Bound(yaml.MarkedYAMLError):
    """More than the bounds above."""


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to its nodes; no constructor, so that nothing in a file can name something to be called."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.level = 0
        self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, if that is within the bounds."""
        self.level += 1
        self.nodes += 1
        mark = self.peek_event().start_mark
        if self.level > LEVELS + 1:
            raise _Bound(problem=_too_deep(), problem_mark=mark)
        if self.nodes > NODES:
            raise _Bound(problem=_too_many(), problem_mark=mark)
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """PyYAML's, which puts text in quotes that YAML 1.1 reads otherwise, and with the forms above, that 1.2 does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write each value out where it stands."""
        return True


for _tag, _form in _FORMS.items():
    _Loader.add_implicit_resolver(_tag, _form, None)
    _Dumper.add_implicit_resolver(_tag, _form, None)


class _Builder:
    """Makes values of nodes and notes where they stand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[str, Place] = {}
        self.nodes = 0

    def build(self, node: yaml.Node, path: str, level: int) -> Any:
        """Return the value of a node; what an alias names is built anew each time, so that none is shared."""
        self._count(node, 1, level)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._mapping(node, path, level)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQ:
            return self._list(node, path, level)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise self.wrong(node, f"the tag {_short(node.tag)} is not one of YAML's own for this. Leave the tag out")

    def _count(self, node: yaml.Node, more: int, level: int) -> None:
        """Refuse what aliases make larger or deeper than the bounds: one to what it stands in has no end."""
        self.nodes += more
        if self.nodes > NODES:
            raise self.wrong(node, _too_many())
        if level > LEVELS:
            raise self.wrong(node, _too_deep())

    def wrong(self, node: yaml.Node, problem: str) -> EwsError:
        """Return the error for a node."""
        return EwsError(f"{self._place(node)}: not valid YAML: {problem}.")

    def _place(self, node: yaml.Node) -> Place:
        return _place(node.start_mark, self.name)

    def _list(self, node: yaml.SequenceNode, path: str, level: int) -> list[Any]:
        found = []
        for index, entry in enumerate(node.value):
            here = below(path, index)
            self.places[here] = self._place(entry)
            found.append(self.build(entry, here, level + 1))
        return found

    def _mapping(self, node: yaml.MappingNode, path: str, level: int) -> dict[str, Any]:
        found = {}
        for name, (key, value) in self._pairs(node, level).items():
            here = below(path, name)
            self.places[here] = self._place(key)
            found[name] = self.build(value, here, level + 1)
        return found

    def _pairs(self, node: yaml.MappingNode, level: int) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return a mapping's keys and values by name: merged ones and, over them, its own."""
        self._count(node, len(node.value), level)
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[yaml.MappingNode] | None = None
        for key, value in node.value:
            merges = key.tag == _MERGE
            name = "<<" if merges else self._key(key)
            if name in own or (merges and merged is not None):
                again = f", first in line {own[name][0].start_mark.line + 1}" if name in own else ""
                problem = f"the key {_short(name)} stands twice in this section{again}"
                raise self.wrong(key, f"{problem}. Keep one of the two")
            if merges:
                merged = self._merged(value)
            else:
                own[name] = key, value
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for part in reversed(merged or []):  # of two merged ones the first counts
            pairs |= self._pairs(part, level + 1)
        return pairs | own

    def _merged(self, value: yaml.Node) -> list[yaml.MappingNode]:
        """Return the mappings that a merge key names."""
        several = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not several or not all(isinstance(part, yaml.MappingNode) for part in several):
            raise self.wrong(value, "<< takes a section, or a list of sections, as in <<: *name")
        return list(several)

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            value = self._scalar(node)
            if isinstance(value, str):
                return value
        raise self.wrong(node, "a key has to be text. Put it in quotes, or see whether a : or - stands too much")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag, node.value
        if tag in (_STR, _MERGE):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise self.wrong(node, f"{_short(text)!a} has half a character (a surrogate). Write it whole")
            return text
        if tag not in _FORMS:
            raise self.wrong(node, f"the tag {_short(tag)} is not one of YAML's own for this. Leave the tag out")
        if not _FORMS[tag].match(text):
            raise self.wrong(node, f"{_short(text)} is no {tag.removeprefix(_CORE)}")
        if tag == _NULL:
            return None
        if tag == _BOOL:
            return text.lower() == "true"
        return self._number(node, text, whole=tag == _INT)

    def _number(self, node: yaml.Node, text: str, *, whole: bool) -> int | float:
        if len(text) > NUMBER:
            raise self.wrong(node, f"a number of {len(text)} characters; at most {NUMBER}; put text in quotes")
        if whole:
            number = int(text, 0) if text.startswith(("0o", "0x")) else int(text)
            if not -INTEGER <= number < INTEGER:
                raise self.wrong(node, f"the whole number {_short(text)} is beyond 64 bits; put text in quotes")
            return number
        if "." in text[:2] and text.lstrip("+-")[1:].isalpha():
            return float(text.lower().replace(".", "", 1))
        value = float(text)
        if math.isinf(value) or (value == 0 and re.search(r"[1-9]", re.split("[eE]", text)[0])):
            raise self.wrong(node, f"the number {_short(text)} is too {'large' if value else 'small'} to be held")
        return value


def _explained(error: yaml.MarkedYAMLError, name: str) -> str:
    """Say in a sentence what PyYAML found."""
    mark = error.problem_mark or error.context_mark
    place = f"{name}" if mark is None else str(_place(mark, name))
    problem = (error.problem or "").strip()
    if "found another document" in problem:
        problem = "a second document begins here (---). Keep one in a file"
    elif "'\\t'" in problem:
        problem = "a tab. Indent with spaces"
    elif error.context and not isinstance(error, _Bound):
        problem = f"{error.context.strip()}, {problem}"
        if error.context_mark is not None and mark is not None and error.context_mark.line != mark.line:
            problem += f" (it began in line {error.context_mark.line + 1})"
    return f"{place}: not valid YAML: {_clip(problem)}."


def _place(mark: Mark, name: str) -> Place:
    return Place(name, mark.line + 1, mark.column + 1)


def _too_deep() -> str:
    return f"sections and lists stand in each other deeper than {LEVELS} levels"


def _too_many() -> str:
    return f"more than {NODES} keys and values, with those that aliases (*name) repeat"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _clip(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."
