"""A study made by ``ews remote`` is the workflow's, bit for bit, and comes home as done."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workflow import copy, jobs, tiny

pytestmark = pytest.mark.slow
RUNS = Path("results/runs")
DONE = {"train_cell", "evaluate_cell"}
# What tells when and how long, or which options say where images lie and not what they are.
CLOCKS = {"record.json", "timing.csv", "clean.json", "corruption.json"}


def test_a_study_made_elsewhere(built: Path, tmp_path: Path) -> None:
    home, there = copy(tmp_path / "home"), tmp_path / "there"
    home.params(tiny)
    for name in ("digits", "digits-c"):
        shutil.copytree(built / "data" / name, home.folder / "data" / name)

    def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ews", *words], cwd=cwd, env=home.environment, capture_output=True, text=True
        )

    there.mkdir()
    planned = command("remote", "plan", "tiny", "--out", str(there / "plan.json"), cwd=home.folder)
    assert planned.returncode == 0, planned.stderr
    data = ["--data", str(home.folder / "data")]
    # Out of time at once; then for good.
    short = command("remote", "work", "plan.json", *data, "--seconds", "0", cwd=there)
    assert short.returncode == 1 and "9 unfinished" in short.stderr and "Traceback" not in short.stderr
    done = command("remote", "work", "plan.json", *data, "--jobs", "2", "--workers", "0", cwd=there)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 were done before, 9 are now." in done.stdout
    made = [path.relative_to(built) for path in (built / RUNS).rglob("*") if path.is_file() and path.name not in CLOCKS]
    expected = {name: built / name for name in made if not any(part.startswith(".") for part in name.parts)}
    for name, path in expected.items():
        assert (there / name).read_bytes() == path.read_bytes(), name

    adopted = command("remote", "adopt", str(there / "results"), cwd=home.folder)
    assert adopted.returncode == 0, adopted.stdout + adopted.stderr
    assert not set(jobs(home.snakemake("-n").stdout)) & DONE


def test_other_code_refuses_the_work(built: Path, tmp_path: Path) -> None:
    home = copy(tmp_path / "home")
    home.params(tiny)
    options = {"cwd": home.folder, "env": home.environment, "capture_output": True, "text": True}
    plan = [sys.executable, "-m", "ews", "remote", "plan", "tiny", "--out", "plan.json"]
    subprocess.run(plan, check=True, **options)  # type: ignore[call-overload]
    home.edit("src/ews/pipeline/train/optim.py", "def step(", "OTHER = 1\n\n\ndef step(")
    work = [sys.executable, "-m", "ews", "remote", "work", "plan.json", "--data", str(built / "data")]
    done = subprocess.run([*work, "--match", "train .*vanilla"], **options)  # type: ignore[call-overload]
    assert done.returncode == 1
    assert "failed: train digits/tiny/standard/vanilla/seed0: error: " in done.stdout
    assert not list((home.folder / RUNS).rglob("epochs.csv"))
