"""The tables of parameters on the pages of methods, augmentations, networks and evaluations, made from what they say of
themselves.

    python tools/component_pages.py            say which pages are out of date
    python tools/component_pages.py --write    bring them up to date

The page of a component, ``<name>.md``, lies beside its code. What stands between the two marks is replaced; all else is
written by hand.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.levels import as_levels
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodSpec
from ews.models.architecture_registry import ARCHITECTURES, DYNAMIC
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS

SRC = Path(__file__).parents[1] / "src" / "ews"
BEGIN, END = "<!-- parameters: tools/component_pages.py -->", "<!-- end of parameters -->"
HEAD = "| parameter | default | values | meaning |\n|---|---|---|---|"
WORDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true, false", "null": "null"}


def pages() -> dict[Path, str]:
    """Return the table of each page."""
    found = {SRC / "methods" / name / f"{name}.md": table(method_rows(spec)) for name, spec in METHODS.items()}
    for package, registry in (("augment", AUGMENTATIONS), ("models", ARCHITECTURES), ("models", DYNAMIC)):
        for name, spec in registry.items():
            found[SRC / package / name / f"{name}.md"] = table(rows(spec.parameters))
    for name, spec in EVALUATIONS.items():
        found[SRC / "pipeline" / "evaluate" / name / f"{name}.md"] = table(rows(spec.section))
    return found


def method_rows(spec: MethodSpec[Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of a component: its parameters, those of its network, its teachers."""
    yield from rows(spec.parameters, spec.by_objective)
    if spec.network is not None:
        yield from rows(spec.network)
    for role in spec.teachers:
        teacher = role.default
        shown = f"`{teacher.method}`, {teacher.weights}"
        yield f"`teachers.{role.role}`", shown, "a cell (docs/methods.md, Teachers)", role.description


def rows(
    parameters: type[BaseModel], by_objective: Mapping[str, BaseModel] | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (name, default, values, meaning) of each parameter."""
    properties = parameters.model_json_schema().get("properties", {})
    for name, field in parameters.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((f"`{name}.{row[0].strip('`')}`", *row[1:]) for row in rows(field.annotation))
            continue
        about = properties[name]
        if by_objective is not None:
            default = ", ".join(f"{key}: {shown(getattr(own, name), about)}" for key, own in by_objective.items())
        else:
            default = "–" if field.is_required() else shown(field.default, about)
        yield f"`{name}`", default, values(about), field.description or ""


def table(found: Iterator[tuple[str, str, str, str]]) -> str:
    """Return rows as Markdown; without any, a sentence."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in found]
    return "\n".join([HEAD, *lines]) if lines else "It has no parameters of its own."


def shown(value: Any, about: Mapping[str, Any]) -> str:
    """Return a default as params.yaml writes it."""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, float) and "anyOf" in about and any("pattern" in kind for kind in about["anyOf"]):
        return f"`{as_levels(value)}`"
    return "null" if value is None else f"`{value}`"


def values(about: Mapping[str, Any]) -> str:
    """Return which values a JSON Schema allows, in words."""
    if "anyOf" in about:
        kinds = [kind for kind in about["anyOf"] if "pattern" not in kind]
        levels = " or grey levels" if len(kinds) < len(about["anyOf"]) else ""
        return " or ".join(map(values, kinds)) + levels
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about.get("type") == "array":
        items = about.get("items") or about["prefixItems"][0]
        return f"list of {values(items)}"
    limits = [words.format(f"{about[key]:g}") for key, words in WORDS.items() if key in about]
    return ", ".join([TYPES[about["type"]], *limits])


def updated(page: str, text: str, *, where: Path) -> str:
    """Return a page with its table replaced.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise ValueError(f"{where}: needs the lines {BEGIN} and {END}; the table goes between them.")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def main() -> int:
    """Check or write all pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the tables that are out of date")
    write = parser.parse_args().write
    stale = 0
    for path, text in pages().items():
        old = path.read_text(encoding="utf-8")
        new = updated(old, text, where=path)
        if new == old:
            continue
        stale += 1
        print(f"{path}: {'brought up to date' if write else 'out of date'}")
        if write:
            path.write_text(new, encoding="utf-8")
    return 0 if write else min(stale, 1)


if __name__ == "__main__":
    sys.exit(main())
