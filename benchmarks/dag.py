"""How long planning takes: `snakemake -n` for studies of some sizes, beside as many trivial jobs.

    python benchmarks/dag.py --out benchmarks/results

Each measurement is a process of its own in a copy of the project without results. A study of N cells is one method on
the digits, N / 10 values of a parameter and 10 seeds, each trained and measured once: 2 N jobs, and those around them.
The trivial Snakefile has two jobs a cell, too. The shipped params.yaml is planned for its default target beside an
empty Snakefile. What is compared runs in turn; processor time is that of the process, memory its largest resident size.
Writes ``dag.json`` and ``.md``.
"""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from common import machine, machine_line, spread

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.core.yaml_files import read_yaml

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "profiles", "params.yaml", "src", "data/sources.yaml")
SIZES = [20, 200, 2000]
SEEDS = 10
# A small process, since a child's largest size is never below its parent's.
STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print()
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
EMPTY = "rule all:\n    input: []\n"
TRIVIAL = """
NUMBERS = range({cells})

rule all:
    input: expand("results/{{number}}/measured", number=NUMBERS)

rule train:
    output: "results/{{number}}/trained"
    shell: "touch {{output}}"

rule measure:
    input: "results/{{number}}/trained"
    output: "results/{{number}}/measured"
    shell: "touch {{output}}"
"""


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder (default: %(default)s)")
    parser.add_argument("--cells", type=int, nargs="*", default=SIZES, help="(default: 20 200 2000)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.repeats < 1 or any(cells < SEEDS or cells % SEEDS for cells in arguments.cells):
        raise EwsError(f"--repeats: at least 1; --cells: multiples of {SEEDS}.")
    about = machine(torch.device("cpu"), torch.get_num_threads())
    about["versions"] = {"python": about["versions"]["python"], "snakemake": importlib.metadata.version("snakemake")}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pairs = [("shipped params.yaml", shipped(Path(folder)), snakefile(Path(folder) / "empty", EMPTY))]
        for cells in arguments.cells:
            trivial = snakefile(Path(folder) / f"trivial{cells}", TRIVIAL.format(cells=cells))
            pairs.append((f"{cells:,} cells", study(Path(folder), cells), trivial))
        for name, ours, other in pairs:
            rows.append({"name": name, **compare(ours, other, repeats=arguments.repeats)})
            print(line(rows[-1]), flush=True)
    write_json(arguments.out / "dag.json", {"machine": about, "repeats": arguments.repeats, "rows": rows})
    write_text(arguments.out / "dag.md", report(about, arguments.repeats, rows))


def shipped(folder: Path) -> Path:
    """Return a copy of the project as it is."""
    copy = folder / "shipped"
    for part in PARTS:
        source, target = ROOT / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return copy


def study(folder: Path, cells: int) -> Path:
    """Return a copy of the project that plans one study of so many cells."""
    copy = folder / f"study{cells}"
    shutil.copytree(shipped(folder / f"of{cells}"), copy)
    content = read_yaml(copy / "params.yaml", missing="").value
    widths = [round(0.1 + 0.8 * place / (cells // SEEDS), 6) for place in range(cells // SEEDS)]
    content["studies"] = {
        "many": {
            **{"dataset": "digits", "method": "ews", "seed": list(range(SEEDS)), "evaluations": ["clean"]},
            "overrides": {"methods.ews.width": widths},
        }
    }
    content["reproduce"] = ["many"]
    (copy / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return copy


def snakefile(folder: Path, text: str) -> Path:
    """Return a folder with nothing but a Snakefile."""
    folder.mkdir()
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    return folder


def compare(ours: Path, other: Path, *, repeats: int) -> dict[str, Any]:
    """Return the spreads of processor seconds and MiB of two plans, measured in turn, and of the ratios of seconds."""
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "other": []}
    # The first time leaves compiled modules behind.
    for repeat in range(-1, repeats):
        turn = [("ours", ours), ("other", other)]
        for name, folder in turn if repeat % 2 else reversed(turn):
            measured = plan(folder)
            if repeat >= 0:
                found[name].append(measured)
    ratios = [mine[0] / theirs[0] for mine, theirs in zip(found["ours"], found["other"], strict=True)]
    return {
        "jobs": jobs(ours),
        **{name: spread([seconds for seconds, _ in values]) for name, values in found.items()},
        "memory": spread([mib for _, mib in found["ours"]]),
        "ratio": spread(ratios),
    }


def plan(folder: Path) -> tuple[float, float]:
    """Plan in a folder; returns processor seconds of the process and its largest resident size in MiB."""
    words = [sys.executable, "-c", STARTER, *command("--quiet", "all")]
    done = subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True)
    if done.returncode:
        raise EwsError(f"{folder}: planning ended with status {done.returncode}:\n{done.stderr}")
    seconds, kib = map(float, done.stdout.splitlines()[-1].split())
    return seconds, kib / 1024


def jobs(folder: Path) -> int:
    """Return how many jobs are planned."""
    done = subprocess.run(
        command("--quiet", "rules"), cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    totals = [text.split()[1] for text in (done.stdout + done.stderr).splitlines() if text.startswith("total ")]
    return int(totals[0])


def command(*more: str) -> Sequence[str]:
    """Return the command of a dry run."""
    return [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *more]


def environment(folder: Path) -> Mapping[str, str]:
    """Return an environment in which the copy's package is the one that plans."""
    return {**os.environ, "PYTHONPATH": str(folder / "src")}


def line(row: Mapping[str, Any]) -> str:
    """Return a row of the table."""
    cells = [row["name"], f"{row['jobs']:,}"]
    for name, digits in (("ours", 2), ("other", 2), ("ratio", 2), ("memory", 0)):
        values = row[name]
        cells.append("{median:.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(**values, d=digits))
    return f"| {' | '.join(cells)} |"


def report(about: Mapping[str, Any], repeats: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown file."""
    lines = [
        "# Planning",
        "",
        f"`snakemake -n`, processor seconds; median [quartiles] of {repeats} repetitions, in turn. Beside it an empty "
        "Snakefile (first row) or one with two trivial jobs a cell.",
        "",
        machine_line(about),
        "",
        "| planned | jobs | seconds | beside it | ratio | MiB |",
        "|---|---:|---:|---:|---:|---:|",
        *map(line, rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    finished(main)
