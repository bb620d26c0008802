"""A hash of the package's behaviour, as far as one step can reach it: what the rules watch for changes.

Snakemake sees a rule's own text, not the modules it imports. The fingerprint covers the entry
module and everything of this package that it imports, directly or not, as syntax trees without
docstrings: comments and formatting do not count. Of a registry it covers only the entries in use,
by the functions that import them, so that a cell does not depend on methods it never uses.
"""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable
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
    "ews.data.download": "from where bytes come changes no result: their checksums say what they are",
}
"""Modules that the fingerprint leaves out, and why. Beside these it leaves out what :func:`is_followed` names."""
LISTS = ("registry", "spec")
"""Last parts of module names: lists of entries, of which those in use are named; and the types of entries."""


def is_followed(module: str) -> bool:
    """Tell whether a module counts where it is imported.

    Registries and specs do not: an entry's values stand in the cell, so that neither a new entry nor another
    description, range or default changes what a planned step does. What an entry runs counts by its function.
    """
    last = module.rpartition(".")[2]
    return module not in NOT_FOLLOWED and last not in LISTS and not last.endswith("_spec")


def fingerprint(entry: str, uses: Iterable[Use] = ()) -> str:
    """Return the fingerprint of what ``entry`` runs, as 16 hex digits.

    Args:
        entry: the dotted name of the step's module or package, e.g. ``"ews.pipeline.train"``; of a package
            its ``command`` counts too.
        uses: what the step runs by way of registries; the imports in each function's body are followed.
    """
    return _fingerprint(entry, frozenset(uses))


@cache
def _fingerprint(entry: str, uses: frozenset[Use]) -> str:
    digest = hashlib.sha256()
    for module in reached(entry, uses):
        digest.update(f"{module}={_tree_hash(module)}\n".encode())
    # By what they do: from which spec a function comes makes no difference.
    for dump in sorted(_dump(_tree_of(use)) for use in uses):
        digest.update(f"{dump}\n".encode())
    return digest.hexdigest()[:16]


def reached(entry: str, uses: Iterable[Use] = ()) -> list[str]:
    """Return the dotted names of the modules that :func:`fingerprint` covers, sorted; arguments are its."""
    pending = [entry, f"{entry}.command"]
    for use in uses:
        pending += _imported(_tree_of(use))
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module in seen or not is_followed(module) or _path(module) is None:
            continue
        seen.add(module)
        pending += _imports(module)
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


@cache
def _tree_of(use: Use) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(use)))


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    assert path is not None
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _imports(module: str) -> list[str]:
    """Return the modules of this package that ``module`` imports, its parent packages included."""
    parts = module.split(".")
    parents = {".".join(parts[:end]) for end in range(1, len(parts))}
    return sorted(parents | set(_imported(_tree(module))))


def _imported(tree: ast.Module) -> list[str]:
    """Return the modules of this package that are imported anywhere in a syntax tree."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # ``from a.b import c``: c may be a module of its own.
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return sorted(name for name in found if _path(name) is not None)


@cache
def _tree_hash(module: str) -> str:
    return hashlib.sha256(_dump(_tree(module)).encode()).hexdigest()


def _dump(node: object) -> str:
    """Spell a syntax tree out, alike on every Python: empty fields, which versions differ in, are left out."""
    if isinstance(node, list):
        return "[" + ",".join(_dump(part) for part in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name in node._fields:
        value = getattr(node, name, None)
        if name == "body" and isinstance(value, list):
            value = [part for part in value if not _is_text(part)]
        if value is not None and value != []:
            fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
