"""A hash of the package's behaviour, as far as one step can reach it: what the rules watch for changes.

Snakemake sees a rule's own text, not the modules it imports. The fingerprint covers the entry
module and everything of this package that it imports, directly or not, as syntax trees without
docstrings: comments and formatting do not count. Of a registry it covers only the entries in use,
by the functions that import them, so that a cell does not depend on methods it never uses.
"""

import ast
import hashlib
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ews
from ews.core.errors import EwsError

PACKAGE = "ews"
ROOT = Path(ews.__file__).parent
Use = Callable[..., object]
"""A function defined with ``def`` whose body imports what it stands for, such as a spec's ``implementation``."""

NOT_FOLLOWED = {
    "ews": "the library's public names, imported when they are used; a step imports the modules themselves",
    "ews.pipeline.study.trainable": "what it refuses is not trained; what it lets pass it does not change",
    "ews.data.download": "from where bytes come changes no result: their checksums say what they are",
}
"""Modules that the fingerprint leaves out, and why. Beside these it leaves out what :func:`is_followed` names."""
LISTS = ("registry", "_specs", "_spec")
"""Ends of module names: lists of entries, of which those in use are named; the types of entries; and entries."""


def is_followed(module: str) -> bool:
    """Tell whether a module counts where it is imported.

    Registries and specs do not: an entry's values stand in the cell, so that neither a new entry nor another
    description, range or default changes what a planned step does. What an entry runs counts by its function.
    """
    return module not in NOT_FOLLOWED and not module.endswith(LISTS)


def fingerprint(entry: str, uses: Iterable[Use] = ()) -> str:
    """Return the fingerprint of what ``entry`` runs, as 16 hex digits.

    Args:
        entry: the dotted name of the step's module, e.g. ``"ews.pipeline.train.train_command"``.
        uses: what the step runs by way of registries; the imports in each function's body are followed.
    """
    return _fingerprint(entry, frozenset(uses))


@cache
def _fingerprint(entry: str, uses: frozenset[Use]) -> str:
    digest = hashlib.sha256()
    for module in reached(entry, uses):
        digest.update(f"{module}={_module(module).hash}\n".encode())
    # By what they do: from which spec a function comes makes no difference.
    for found in sorted(_use(use).hash for use in uses):
        digest.update(f"{found}\n".encode())
    return digest.hexdigest()[:16]


def reached(entry: str, uses: Iterable[Use] = ()) -> list[str]:
    """Return the dotted names of the modules that :func:`fingerprint` covers, sorted; arguments are its."""
    pending = [entry]
    for use in uses:
        pending += _use(use).imports
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module in seen or not is_followed(module) or _path(module) is None:
            continue
        seen.add(module)
        pending += _module(module).imports
    return sorted(seen)


def check_fingerprint(planned: str | None, actual: str, *, where: str) -> None:
    """Refuse to run other code than the workflow planned with.

    Args:
        planned: fingerprint that the rule passed on; None where a person runs the step by hand.
        actual: fingerprint of the code that runs now.
        where: what is about to be made.

    Raises:
        EwsError: they differ; both stand in the message.
    """
    if planned is not None and planned != actual:
        raise EwsError(
            f"{where}: the code changed after this job was planned (fingerprint {planned} then, {actual} now). "
            "Run the same command again: it plans anew."
        )


@cache
def _path(module: str) -> Path | None:
    """Return the source file of a module of this package, or None if there is none."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    base = ROOT.joinpath(*parts[1:])
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@dataclass(frozen=True)
class _Source:
    """What counts of a source text: modules of this package that it imports anywhere, and a hash of its syntax tree."""

    imports: tuple[str, ...]
    hash: str


@cache
def _use(use: Use) -> _Source:
    lines = linecache.getlines(use.__code__.co_filename)[use.__code__.co_firstlineno - 1 :]
    return _source(textwrap.dedent("".join(inspect.getblock(lines))), name=use.__qualname__)


@cache
def _module(module: str) -> _Source:
    """Return what counts of a module; it imports its parent packages, too."""
    path = _path(module)
    assert path is not None
    found = _source(path.read_text(encoding="utf-8"), name=str(path))
    parts = module.split(".")
    parents = {".".join(parts[:end]) for end in range(1, len(parts))}
    return _Source(tuple(sorted(parents | set(found.imports))), found.hash)


def _source(text: str, *, name: str) -> _Source:
    spelled: list[str] = []
    imports: set[str] = set()
    _spell(ast.parse(text, filename=name), spelled, imports)
    inside = sorted(module for module in imports if _path(module) is not None)
    return _Source(tuple(inside), hashlib.sha256("".join(spelled).encode()).hexdigest())


def _spell(node: object, spelled: list[str], imports: set[str]) -> None:
    """Spell a syntax tree out and note what it imports, in one pass: planning does this for some 200 files.

    The text is alike on every Python: empty fields, which versions differ in, are left out. So is ``ctx``: whether a
    name is read or set follows from where it stands.
    """
    if isinstance(node, list):
        spelled.append("[")
        for part in node:
            _spell(part, spelled, imports)
            spelled.append(",")
        spelled.append("]")
        return
    if not isinstance(node, ast.AST):
        spelled.append(repr(node))
        return
    if isinstance(node, ast.Import):
        imports.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        # ``from a.b import c``: c may be a module of its own.
        imports.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    spelled.append(f"{type(node).__name__}(")
    for name in node._fields:
        value = getattr(node, name, None)
        if name == "body" and isinstance(value, list):
            value = [part for part in value if not _is_text(part)]
        if value is None or value == [] or name == "ctx":
            continue
        spelled.append(f"{name}=")
        _spell(value, spelled, imports)
        spelled.append(",")
    spelled.append(")")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
