#!/usr/bin/env python3
"""Check the links of the documentation; ``--write`` sets the line numbers of those that name a symbol right.

``python tools/doc_links.py`` prints one line for each link that leads nowhere and exits with status 1 if there is any.
Checked in README.md, CONTRIBUTING.md, CHANGELOG.md, docs/ and results/README.md, for every link to a file of this
repository: the file exists; ``#L12`` is a line of it; ``#a-heading`` is a heading of it; and where the link's text is
a name in backticks, as in
[`Ews.gradients`](../src/ews/methods/ews/ews.py#L128), that line is where the name is defined.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
NAME = re.compile(r"`(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(\))?`")
FENCE = re.compile(r"^(```|~~~).*?^\1`*~*[ ]*$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Broken:
    """A link that does not hold.

    Attributes:
        line: of the document, from 1.
        start: where the link's target begins in the document's text.
        target: what stands there now.
        problem: a sentence.
        right: what should stand there, where that is known.
    """

    line: int
    start: int
    target: str
    problem: str
    right: str | None = None


def documents(root: Path) -> list[Path]:
    """Return the documents that are checked, those that exist."""
    return [
        path
        for path in (
            *(root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md"),
            *sorted(root.glob("docs/*.md")),
            *sorted(root.glob("src/ews/**/*.md")),
            root / "results/README.md",
        )
        if path.is_file()
    ]


def definitions(source: str) -> dict[str, int]:
    """Return the line of every class, function, method and variable of modules and classes, by dotted name."""
    found: dict[str, int] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                # The line of `def` or `class`, not that of a decorator.
                found.setdefault(prefix + node.name, node.lineno)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        found.setdefault(prefix + target.id, node.lineno)

    visit(ast.parse(source).body, "")
    return found


def headings(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+[ ]+(.*?)[ ]*#*$", FENCE.sub("", text), flags=re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", LINK.sub(r"\g<text>", heading).lower()).replace(" ", "-")
        number = 0
        while (anchor := plain if number == 0 else f"{plain}-{number}") in anchors:
            number += 1
        anchors.add(anchor)
    return anchors


def check(document: Path) -> Iterator[Broken]:
    """Yield the links of a document that do not hold."""
    text = document.read_text(encoding="utf-8")
    # Blanked, not removed: places stay what they are.
    prose = FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block.group()), text)
    for link in LINK.finditer(prose):
        target = link["target"]
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        place = (prose.count("\n", 0, link.start()) + 1, link.start("target"), target)
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists():
            yield Broken(*place, f"there is no file {name}.")
        elif anchor:
            symbol = NAME.fullmatch(link["text"])
            for problem, right in _anchor(path, name, anchor, symbol["name"] if symbol else None):
                yield Broken(*place, problem, right)


def _anchor(path: Path, name: str, anchor: str, symbol: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield what is wrong with an anchor, and the right target if there is one."""
    if path.is_dir():
        yield f"{name} is a folder, it has no anchors.", None
        return
    text = path.read_text(encoding="utf-8")
    number = re.fullmatch(r"L([1-9]\d*)", anchor)
    if number is None:
        if path.suffix != ".md" or anchor not in headings(text):
            yield f"{name or 'this document'} has no line or heading #{anchor}.", None
        return
    line, lines = int(number[1]), len(text.splitlines())
    if symbol is not None and path.suffix == ".py":
        where = definitions(text).get(symbol)
        if where is None:
            yield f"{name} defines no {symbol}.", None
        elif where != line:
            yield f"{symbol} is in line {where} of {name}.", f"{name}#L{where}"
    elif line > lines:
        yield f"{name} has {lines} lines.", None


def mend(document: Path) -> int:
    """Set the line numbers of links to symbols right; return how many were wrong."""
    text = document.read_text(encoding="utf-8")
    wrong = [broken for broken in check(document) if broken.right is not None]
    for broken in reversed(wrong):
        assert broken.right is not None
        text = text[: broken.start] + broken.right + text[broken.start + len(broken.target) :]
    if wrong:
        document.write_text(text, encoding="utf-8")
    return len(wrong)


def main() -> None:
    """Parse the command line, correct if asked to, and print what is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="set line numbers right")
    write = parser.parse_args().write
    left = 0
    for document in documents(ROOT):
        name = document.relative_to(ROOT)
        if write and (count := mend(document)):
            print(f"{name}: {count} line numbers set right")
        for broken in check(document):
            left += 1
            print(f"{name}:{broken.line}: {broken.target}: {broken.problem}")
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
