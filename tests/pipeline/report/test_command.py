"""The command line from run folders to files, as the workflow's rules call it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ews.pipeline.report import command

Tree = Any


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["ews report", *map(str, arguments)])
    command.main()


def _measure(monkeypatch: pytest.MonkeyPatch, tree: Tree) -> None:
    out = ("--out", tree.out / "measurements.csv", "--records", tree.out / "records.json")
    metrics = ("--metrics", tree.out / "metrics.json")
    _run(monkeypatch, "measure", "--study", tree.study, "--runs", tree.runs, *out, *metrics)


def test_three_steps_write_every_file(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    _measure(monkeypatch, tree)
    measured = ("--study", tree.study, "--measurements", tree.out / "measurements.csv", "--out-dir", tree.out)
    _run(monkeypatch, "table", *measured)
    _run(monkeypatch, "figures", *measured, "--runs", tree.runs)
    assert {path.name for path in tree.out.iterdir()} == {
        "study.json", "measurements.csv", "records.json", "metrics.json", "caption.txt", "table.csv", "table.md",
        "table.tex", "table.html", "training.svg", "corruption.svg", "severity.svg", "sweep.svg", "cost.svg",
        "controller.svg", "kept.svg",
    }  # fmt: skip


def test_the_same_runs_give_the_same_bytes(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for _ in range(2):
        _measure(monkeypatch, tree)
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
    modules = ("command", "measure", "table", "figures")
    code = f"import sys, importlib; [importlib.import_module('ews.pipeline.report.' + m) for m in {modules}]; print(json.dumps"
    code = code.replace("import sys", "import json, sys") + "(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert "ews.pipeline.report.figures" in loaded
    assert not {"torch", "torchvision", "snakemake", "dvc"} & set(loaded)
