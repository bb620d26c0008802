"""A hash of the package's behaviour, as far as one step can reach it: what the rules watch for changes.

Snakemake sees a rule's own text, not the modules it imports. The fingerprint covers the entry
module and everything of this package that it imports, directly or not, as syntax trees without
docstrings: comments and formatting do not count. At a registry (a module-level dict ``REGISTRY``)
it follows only the entries that are named, so that a cell does not depend on methods it never uses.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path

import ews
from ews.core.errors import EwsError, unknown

PACKAGE = "ews"
ROOT = Path(ews.__file__).parent


def fingerprint(entry: str, uses: Iterable[tuple[str, str]] = ()) -> str:
    """Return the fingerprint of what ``entry`` runs, as 16 hex digits.

    Args:
        entry: the dotted name of the step's module or package, e.g. ``"ews.pipeline.train"``; of a package
            its ``command`` counts too.
        uses: the registry entries in use, as (module that holds the registry, entry's name), e.g.
            ``("ews.methods", "dropout")``.

    Raises:
        EwsError: an entry is not in its registry.
    """
    digest = hashlib.sha256()
    for module in reached(entry, uses):
        digest.update(f"{module}={_tree_hash(module)}\n".encode())
    for module, name in sorted(uses):
        digest.update(f"{module}[{name}]={import_module(module).REGISTRY[name]}\n".encode())
    return digest.hexdigest()[:16]


def reached(entry: str, uses: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the dotted names of the modules that :func:`fingerprint` covers, sorted; arguments and errors are its."""
    pending = [entry, f"{entry}.command"]
    for module, name in uses:
        registry = import_module(module).REGISTRY
        if name not in registry:
            raise unknown("entry", name, registry, where=module)
        pending.append(registry[name].split(":")[0])
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module in seen or _path(module) is None:
            continue
        seen.add(module)
        # The package's face names everything, for people; no step is made of it.
        if module != PACKAGE:
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
def _tree(module: str) -> ast.Module:
    path = _path(module)
    assert path is not None
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _imports(module: str) -> list[str]:
    """Return the modules of this package that ``module`` imports, its parent packages included."""
    parts = module.split(".")
    found = {".".join(parts[:end]) for end in range(1, len(parts))}
    for node in ast.walk(_tree(module)):
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
            value = [part for part in value if not (_is_text(part) or _is_registry(part))]
        if value is not None and value != []:
            fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_registry(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "REGISTRY" for target in node.targets)
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "REGISTRY"
