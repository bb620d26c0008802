"""The command line from run folders to files, as the workflow's rules call it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ews.pipeline.report.report_command import main

Tree = Any


def _run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def _measure(tree: Tree) -> None:
    out = ("--out", tree.out / "measurements.csv", "--records", tree.out / "records.json")
    metrics = ("--metrics", tree.out / "metrics.json")
    _run("measure", "--study", tree.study, "--runs", tree.runs, *out, *metrics)


def test_three_steps_write_every_file(tree: Tree) -> None:
    _measure(tree)
    measured = ("--study", tree.study, "--measurements", tree.out / "measurements.csv", "--out-dir", tree.out)
    _run("table", *measured)
    _run("figures", *measured, "--runs", tree.runs)
    assert {path.name for path in tree.out.iterdir()} == {
        "study.json", "measurements.csv", "SHA256SUMS", "records.json", "metrics.json", "caption.txt", "table.csv",
        "table.md", "table.tex", "table.html", "training.svg", "corruption.svg", "severity.svg", "sweep.svg",
        "cost.svg", "controller.svg", "kept.svg",
    }  # fmt: skip


def test_the_same_runs_give_the_same_bytes(tree: Tree) -> None:
    texts = []
    for _ in range(2):
        _measure(tree)
        texts.append(
            {name: (tree.out / name).read_bytes() for name in ("measurements.csv", "records.json", "metrics.json")}
        )
    assert texts[0] == texts[1]


def test_a_bad_input_ends_in_one_message_and_leaves_no_file(tree: Tree, tmp_path: Path) -> None:
    broken = tree.folder(0) / "clean.json"
    broken.unlink()
    options = {"study": tree.study, "runs": tree.runs, "out": "m.csv", "records": "r.json", "metrics": "x.json"}
    arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    done = subprocess.run(
        [sys.executable, "-m", "ews", "report", "measure", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {broken}: no such file.") and "Traceback" not in done.stderr
    assert not any((tmp_path / name).exists() for name in ("m.csv", "r.json", "x.json"))


def test_nothing_here_loads_torch() -> None:
    modules = ("report_command", "measure", "table", "figures")
    imports = ", ".join(f"ews.pipeline.report.{module}" for module in modules)
    code = f"import json, sys, {imports}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert "ews.pipeline.report.figures" in loaded
    assert not {"torch", "torchvision", "snakemake", "dvc"} & set(loaded)
