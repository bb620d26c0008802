"""A real Snakemake that is killed alone, while its jobs run to their ends: the next one finds their work done."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.workflow import Project, tiny

pytestmark = pytest.mark.slow
RUN = Path("results/runs/digits/tiny/standard/ews/seed0")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def killed_alone(project: Project, begun: Path, ended: Path, *targets: str) -> None:
    """Kill Snakemake once ``begun`` is there, wait until its job has written ``ended``, and unlock the folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *targets],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: (project.folder / begun).exists())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: (project.folder / ended).exists())
    except AssertionError:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    project.snakemake("--unlock")


def one_cell(content: dict[str, Any]) -> None:
    """Plan one run and its clean error: no more than the test looks at."""
    tiny(content)
    content["studies"]["tiny"].update(method=["ews"], evaluations=["clean"])


def more_epochs(content: dict[str, Any]) -> None:
    content["recipes"]["digits"]["standard"]["epochs"] = 40


def test_what_jobs_finish_after_their_snakemake_is_gone_is_kept(project: Project) -> None:
    project.params(one_cell)
    project.snakemake("train")
    project.params(more_epochs)
    run = project.folder / RUN
    # What was there was trained for fewer epochs: Snakemake deletes it and begins.
    killed_alone(project, RUN / "state.pt", RUN / "record.json", "train")
    wait_for(lambda: not (run / "state.pt").exists())
    trained = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert json.loads(trained["record.json"])["counts"]["epochs"] == 40
    output = project.snakemake("train").stdout
    assert "train_cell" in output  # a job that Snakemake did not see end
    assert {name: (run / name).read_bytes() for name in trained} == trained
    log = (project.folder / "logs/train/digits/tiny/standard/ews/seed0.log").read_text()
    assert log.count("epoch 40/40") == 1 and "was trained before; put back:" in log
    assert log.index("epoch 2/2") < log.index("epoch 40/40") < log.index("was trained before")  # of all starts
    assert (run / "model.safetensors").stat().st_nlink == 2
    # The next steps, once Snakemake knows: nothing is kept twice.
    project.snakemake("tiny")
    assert {path.stat().st_nlink for path in run.iterdir() if path.is_file()} == {1}
    assert "Nothing to be done" in project.snakemake("-n", "tiny").stdout
