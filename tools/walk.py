#!/usr/bin/env python3
"""Follow one parameter and one result through the code: which files handle them, in which forms, how often read.

``python tools/walk.py`` plans, trains and measures a tiny cell whose ``methods.ews.width`` is a number that stands
nowhere else, and watches every function of the package that gets or gives that number, the parameters that hold it, or
a text with it; then it counts how often each command of the report reads the result of the evaluation. A minute on one
core.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
from ews.core.yaml_files import read_yaml  # noqa: E402
from ews.pipeline import commands  # noqa: E402

WIDTH = 0.6180339
# Types that hold the number among others, by the form that they are.
HOLDERS = {"EwsParameters": "EwsParameters"}
# Where the number passes by without being on its way to the network: names of folders, records, checks, look-ups.
ASIDE = {
    "ews/pipeline/study/naming.py": "the folder's name",
    "ews/pipeline/study/flat.py": "the folder's name",
    "ews/pipeline/workflow/workflow_plan.py": "the folder's name",
    "ews/pipeline/study/methods.py": "checks",
    "ews/pipeline/study/trainable.py": "checks",
    "ews/pipeline/study/sizes.py": "checks",
    "ews/methods/epoch_sizes.py": "looks for another component's parameters",
    "ews/methods/method_specs.py": "checks",
    "ews/methods/method_registry.py": "which component it is of",
    "ews/core/registry.py": "which component it is of",
    "ews/core/yaml_files.py": "reads all of params.yaml, whatever it means",
    "ews/core/command_line.py": "reads every command line, whatever it means",
    "ews/core/documents.py": "record.json",
    "ews/core/files.py": "record.json",
}
RESULT = "corruption.json"
ON_THE_WAY = ("plan", "train")
"""First words of the steps by which the number comes to the network."""


def main() -> None:
    """Print the way of the parameter and how often the result is read."""
    with tempfile.TemporaryDirectory() as name:
        ways, reads = follow(Path(name))
    print("The way of methods.ews.width, from params.yaml to the counts that it decides\n")
    print("\n".join(f"  {file:44} {', '.join(forms)}" for file, forms in ways.items() if file not in ASIDE))
    files, forms = on_the_way(ways)
    print(f"\n{len(files)} files of the package in {len(forms)} forms: {', '.join(forms)}. Passed by:\n")
    print("\n".join(f"  {file:44} {why}" for file, why in ASIDE.items() if file in ways))
    print(f"\nHow often {RESULT} of the cell is parsed\n")
    print("\n".join(f"  {command:44} {count}" for command, count in reads.items()))


def follow(folder: Path) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Run every step in a process of its own, from the plan to the figures.

    Args:
        folder: an empty one, for a project with one tiny cell.

    Returns:
        file of the package -> forms in which it saw the number, in order; command -> how often it read the result.
    """
    project(folder)
    seen, _ = step(folder, "plan")
    run = f"results/runs/{(folder / 'run.txt').read_text(encoding='utf-8')}"
    data, results, how = "data/digits", "results/quickstart", {"threads": 1}
    plain = {"code": None, "out": data}
    step(folder, *commands.prepare(dataset="digits", source="digits", validation="0.1", **plain))
    train = commands.train(cell="@cell.json", data=data, out=run, code=None, teachers=[], how=how)
    ways = walk([seen, step(folder, *train)[0]])
    asked = shlex.split((folder / "asked.txt").read_text(encoding="utf-8"))
    step(folder, *commands.evaluate("corruption", run=run, data=data, out=run, code=None, asked=asked, how=how))
    step(folder, *commands.manifest("quickstart", params="params.yaml", digest=None, out=f"{results}/study.json"))
    reported = str(ROOT / "src/ews/pipeline/report/reported.yaml")
    report = (
        commands.measure(study=f"{results}/study.json", runs="results/runs", reported=reported, out=results),
        commands.table(folder=results, reported=reported),
        commands.figures(folder=results, runs="results/runs"),
    )
    return ways, {f"ews {' '.join(words[:2])}": step(folder, *words)[1] for words in report}


def on_the_way(ways: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Return the files that the number passes on its way to the network, and its forms there."""
    files = [file for file in ways if file not in ASIDE]
    return files, list(dict.fromkeys(form for file in files for form in ways[file]))


def project(folder: Path) -> None:
    """Write a params.yaml with one tiny cell, whose width is overridden."""
    content = read_yaml(ROOT / "params.yaml", missing="").value
    study = {"dataset": "digits", "architecture": "tiny", "method": "ews", "seed": 0, "evaluations": ["corruption"]}
    content["studies"] = {"quickstart": {**study, "overrides": {"methods.ews.width": WIDTH}}}
    content["reproduce"] = ["quickstart"]
    content["architectures"]["tiny"] = {"network": "cifar_resnet", "depth": 8, "width": 4}
    content["recipes"]["digits"]["standard"] |= {"epochs": 1, "train_images": 96}
    content["evaluation"] |= {"test_images": 50}
    content["evaluation"]["corruption"] |= {"names": ["gaussian_noise", "contrast"], "stored": False}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "data").mkdir()
    (folder / "data/sources.yaml").write_bytes((ROOT / "data/sources.yaml").read_bytes())


def walk(steps: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return file -> forms, in the order in which the number comes by."""
    found: dict[str, list[str]] = {}
    for seen in steps:
        for file, forms in seen.items():
            found[file] = list(dict.fromkeys([*found.get(file, []), *forms]))
    return found


def step(folder: Path, *words: str) -> tuple[dict[str, list[str]], int]:
    """Run a command in a process that watches itself; returns what it saw and how often it read the result."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import walk; walk.watched(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr[-2000:]}")
    seen, reads = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    return seen, reads


def watched(words: list[str]) -> None:
    """In a process of its own: run one command, write what was seen to ``seen.json``."""
    seen: dict[str, list[str]] = {}
    reads = 0

    def profile(frame: FrameType, event: str, value: Any) -> None:
        if event not in ("call", "return"):
            return
        file = frame.f_code.co_filename.partition("/src/")[2]
        if not file.startswith("ews/"):
            return
        for held in [*frame.f_locals.values(), *([value] if event == "return" else [])]:
            if (found := form(held)) and found not in seen.setdefault(file, []):
                seen[file].append(found)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal reads
        # Text is parsed; bytes are hashed.
        if event == "open" and str(arguments[0]).endswith(RESULT) and arguments[1] == "r":
            reads += 1

    sys.addaudithook(audit)
    # Watching each call costs many times what is watched: only where the number is on its way.
    if words[0] in ON_THE_WAY:
        sys.setprofile(profile)
    try:
        plan() if words == ["plan"] else command(words)
    finally:
        sys.setprofile(None)
        found = {file: forms for file, forms in seen.items() if forms}
        Path("seen.json").write_text(json.dumps([found, reads]), encoding="utf-8")


def form(value: object) -> str:
    """Return the form in which a value is or holds the number; empty: it does not."""
    if isinstance(value, float):
        return "number" if value == WIDTH else ""
    if isinstance(value, str):
        return "text" if str(WIDTH) in value else ""
    if isinstance(value, dict) and any(isinstance(part, float) and part == WIDTH for part in value.values()):
        return "mapping"
    if isinstance(value, list | tuple):
        return next((HOLDERS[type(part).__name__] for part in value if type(part).__name__ in HOLDERS), "")
    return HOLDERS.get(type(value).__name__, "")


def plan() -> None:
    """Plan as the workflow does, and write the cell as it hands it to the shell."""
    from ews.pipeline.workflow import run_rules
    from ews.pipeline.workflow.workflow_plan import Plan

    planned = Plan.of(read_yaml("params.yaml", missing="").value)
    (name,) = planned.cells
    Path("cell.json").write_text(run_rules.cell(planned, name), encoding="utf-8")
    Path("run.txt").write_text(name, encoding="utf-8")
    (results,) = planned.evaluations
    asked = run_rules.asked(planned, name, results.removeprefix(name), "corruption")
    Path("asked.txt").write_text(asked, encoding="utf-8")


def command(words: list[str]) -> None:
    """Run a command of the package."""
    from ews.cli import main as ews

    ews(words)


if __name__ == "__main__":
    main()
