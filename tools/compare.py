#!/usr/bin/env python3
"""Train a tiny cell of each method, augmentation and kind of architecture in two checkouts, and compare bit for bit.

``python tools/compare.py BEFORE AFTER --work DIR`` writes a Markdown table, cell -> same or where it differs, and exits
with status 1 if anything differs. BEFORE and AFTER are checkouts (``git worktree add /tmp/before REVISION``), whose
files are copied to DIR first; run both on one machine. A finished copy is kept in DIR under the checksum of its code,
so that comparing with the same code again trains nothing again. tools/compare.yaml says what is trained. Six minutes
for each checkout on two cores.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from ews.core.yaml_files import read_yaml

OVERLAY = Path(__file__).with_suffix(".yaml")
# All that runs: the package, the workflow, and what they read.
PARTS = ("Snakefile", "workflow", "profiles", "slurm", "params.yaml", "src", "data/sources.yaml")
WEIGHTS = ("model.safetensors", "model-best.safetensors")
LOGS = ("epochs.csv", "controller.csv", "kept.csv")
ARRAYS = ("clean.npz", "corruption.npz", "perturbation.npz", "adversarial.npz", "adaptive.npz")
# Columns of logs that say how long something took.
CLOCKS = {"seconds", "images_per_second", "processor_seconds", "controller_seconds"}
# Measurements of time and memory, by what their names hold.
COSTS = ("time", "second", "memory", "hour", "cost")
EXTRA = "compare-extra.npz"
DONE = "compared.json"

Key = tuple[str, str, int]


@dataclass
class Verdict:
    """What was compared of one cell, and what differs."""

    counts: dict[str, int] = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def hold(self, kind: str, same: bool, where: str) -> None:
        """Count one comparison, and keep where it failed."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if not same:
            self.differs.append(where)


def main() -> int:
    """Run both checkouts, compare them, and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument("--work", type=Path, required=True, help="folder for the copies, kept for the next comparison")
    parser.add_argument("--cores", type=int, default=2, help="jobs at a time (default: 2)")
    arguments = parser.parse_args()
    sides = [run(checkout, arguments.work, cores=arguments.cores) for checkout in (arguments.before, arguments.after)]
    verdicts = compare(*sides)
    print(table(verdicts))
    wrong = sum(bool(verdict.differs) for verdict in verdicts.values())
    print(f"\n{len(verdicts)} cells, {len(verdicts) - wrong} the same, {wrong} not.")
    return 1 if wrong or not verdicts else 0


def run(checkout: Path, work: Path, *, cores: int) -> Path:
    """Run the tiny studies in a copy of a checkout, unless a copy of the same code is finished; returns its folder.

    Raises:
        SystemExit: the checkout is none, or the workflow failed.
    """
    missing = [part for part in PARTS if not (checkout / part).exists() and part != "slurm"]
    if missing:
        sys.exit(f"{checkout}: no checkout of this project: {', '.join(missing)} missing.")
    folder = (work / checksum(checkout)).resolve()
    print(f"{checkout} -> {folder}", file=sys.stderr, flush=True)
    if (folder / DONE).is_file():
        return folder
    # What an interrupted comparison left behind is taken up: it is a copy of the same code.
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        copy(checkout / part, folder / part)
    params = merged(load(checkout / "params.yaml"), load(OVERLAY))
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "mirror").mkdir(exist_ok=True)
    write_extra(folder / "mirror" / EXTRA)
    studies = list(params["studies"])
    targets = [f"results/{study}/{name}" for study in studies for name in ("study.json", "measurements.csv")]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "OMP_NUM_THREADS": "1",
        "EWS_MIRROR": str(folder / "mirror"),
    }
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "rules", "--rerun-incomplete"]
    log = folder / "snakemake.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run([*command, *targets], cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{checkout}: the workflow failed; {log} ends:\n{log.read_text(encoding='utf-8')[-2000:]}")
    (folder / DONE).write_text(json.dumps({"checkout": str(checkout), "studies": studies}), encoding="utf-8")
    return folder


def checksum(checkout: Path) -> str:
    """Return 16 hex digits of the SHA-256 of all that runs, this tool's studies included."""
    digest = hashlib.sha256(OVERLAY.read_bytes())
    for part in PARTS:
        path = checkout / part
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
                digest.update(f"{file.relative_to(checkout)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; one that is not there is left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)


def load(path: Path) -> dict[str, Any]:
    """Read a YAML mapping."""
    content: dict[str, Any] = read_yaml(path, missing="It belongs to the checkout.").value
    return content


def merged(base: Mapping[str, Any], over: Mapping[str, Any], *, depth: int = 0) -> dict[str, Any]:
    """Return ``base`` with the entries of ``over``, mapping by mapping; studies are replaced as a whole."""
    result = dict(base)
    for key, value in over.items():
        deeper = isinstance(value, dict) and isinstance(result.get(key), dict) and (depth, key) != (0, "studies")
        result[key] = merged(result[key], value, depth=depth + 1) if deeper else value
    return result


def write_extra(path: Path) -> None:
    """Write extra images for the method rst: shifted digits, none of which is a test image."""
    digits = load_digits()
    small = (digits.images[:64] * (255 / 16)).astype(np.uint8)
    images = np.roll(small.repeat(4, axis=1).repeat(4, axis=2), 3, axis=2)[..., None].repeat(3, axis=3)
    np.savez(path, images=images, labels=digits.target[:64].astype(np.int64))


def cells(folder: Path) -> dict[Key, tuple[Path, Path]]:
    """Return (study, label, seed) -> the folders of a cell's run and of its evaluations."""
    found = {}
    for study in json.loads((folder / DONE).read_text(encoding="utf-8"))["studies"]:
        manifest = json.loads((folder / "results" / study / "study.json").read_text(encoding="utf-8"))
        # Until 0.1.0 the entries were called cells, and each had the seed beside its cell.
        for entry in manifest.get("entries") or manifest["cells"]:
            run_folder = folder / "results" / "runs" / entry["run"]
            label = ", ".join(entry["label"][key] for key in sorted(entry["label"]))
            seed = int(entry["seed"] if "seed" in entry else entry["cell"]["seed"])
            found[study, label, seed] = (run_folder, run_folder / entry["evaluation"])
    return found


def compare(before: Path, after: Path) -> dict[Key, Verdict]:
    """Compare all cells of two finished copies."""
    first, second = cells(before), cells(after)
    verdicts = {}
    for key in [*first, *(key for key in second if key not in first)]:
        verdict = verdicts[key] = Verdict()
        if key not in first or key not in second:
            verdict.differs.append(f"only {'before' if key in first else 'after'}")
            continue
        for name in (*WEIGHTS, *LOGS):
            compare_file(verdict, first[key][0] / name, second[key][0] / name)
        for name in ARRAYS:
            compare_file(verdict, first[key][1] / name, second[key][1] / name)
        if not {"tensors", "arrays", "columns"} <= set(verdict.counts):
            verdict.differs.append("weights, logs or predictions missing on both sides")
    for study in {key[0] for key in first} & {key[0] for key in second}:
        compare_measurements(verdicts, study, before, after)
    return verdicts


def compare_file(verdict: Verdict, before: Path, after: Path) -> None:
    """Compare one file of a run; one that neither side has is no difference."""
    name = before.name
    if before.is_file() != after.is_file():
        verdict.differs.append(f"{name}: only {'before' if before.is_file() else 'after'}")
        return
    if not before.is_file():
        return
    if name in LOGS:
        columns = [dict(read_columns(path)) for path in (before, after)]
        kind = "columns"
        same = {key: columns[0][key] == columns[1][key] for key in columns[0] if key in columns[1]}
    else:
        columns = [load_file(path) if name in WEIGHTS else load_arrays(path) for path in (before, after)]
        kind = "tensors" if name in WEIGHTS else "arrays"
        same = {key: identical(columns[0][key], columns[1][key]) for key in columns[0] if key in columns[1]}
    for key, equal in same.items():
        verdict.hold(kind, equal, f"{name}: {key}")
    verdict.differs += [f"{name}: {key} is gone" for key in columns[0] if key not in columns[1]]
    added = [f"{name}: {key}" for key in columns[1] if key not in columns[0]]
    # A new tensor is another network; a new column or array is only more to read.
    (verdict.differs if name in WEIGHTS else verdict.new).extend(added)


def read_columns(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns of a CSV file as text, those of clocks left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in rows[0] if rows else []:
        if name not in CLOCKS:
            yield name, [row[name] for row in rows]


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def identical(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    return (first.dtype, first.shape) == (second.dtype, second.shape) and first.tobytes() == second.tobytes()


def compare_measurements(verdicts: dict[Key, Verdict], study: str, before: Path, after: Path) -> None:
    """Compare a study's measurements, row by row; a renamed metric counts as gone."""
    first, second = (dict(measurements(folder / "results" / study / "measurements.csv")) for folder in (before, after))
    for (label, seed, metric), value in first.items():
        verdict = verdicts[study, label, seed]
        found = second.get((label, seed, metric))
        verdict.hold("measurements", found == value, f"measurements.csv: {metric}: {value} -> {found}")
    for label, seed, metric in second:
        if (label, seed, metric) not in first:
            verdicts[study, label, seed].new.append(f"measurements.csv: {metric}")


def measurements(path: Path) -> Iterator[tuple[tuple[str, int, str], str]]:
    """Yield (label, seed, metric) -> value and number of images, without what others report and what time it took."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["reported"] and not any(word in row["metric"] for word in COSTS):
                label = ", ".join(row[key] for key in ("architecture", "augmentation", "dataset", "method"))
                yield (label, int(row["seed"]), row["metric"]), f"{row['value']} of {row['n']}"


def table(verdicts: Mapping[Key, Verdict]) -> str:
    """Return the verdicts as Markdown."""
    lines = ["| Study | Cell | Seed | Compared | Result |", "|---|---|---|---|---|"]
    for (study, label, seed), verdict in verdicts.items():
        compared = ", ".join(f"{count} {kind}" for kind, count in verdict.counts.items())
        shown = verdict.differs[:4] + [f"{len(verdict.differs) - 4} more"] * (len(verdict.differs) > 4)
        result = "differs: " + "; ".join(shown) if verdict.differs else "same"
        if verdict.new:
            result += " (new: " + "; ".join(verdict.new) + ")"
        lines.append(f"| {study} | {label} | {seed} | {compared} | {result} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
