"""Copies of the project in temporary folders, in which the real workflow runs on a tiny study."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from helpers.processes import snakemake

from ews.cli import main
from ews.pipeline.remote.remote_tasks import tasks
from ews.pipeline.remote.work import filled
from ews.pipeline.study.params import load

ROOT = Path(__file__).parents[2]
CORRUPTIONS = ("gaussian_noise", "contrast")
PARTS = ("Snakefile", "workflow", "profiles", "slurm", "params.yaml", "src", "data/sources.yaml")


class Project:
    """A copy of the project that may be edited and run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snakemake(
        self, *arguments: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the copy or another folder, on the copy's package; its output is in ``stdout``."""
        command = ["--cores", "2", *arguments]
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder) / "said"
            status = snakemake(said, cwd or self.folder, self.environment, *command)
            done = subprocess.CompletedProcess(command, status, said.read_text(encoding="utf-8"))
        assert not check or done.returncode == 0, done.stdout
        return done

    def kill_amid(self, run: Path | str, *arguments: str) -> None:
        """Run snakemake, and kill it with all its jobs once a training run has saved its state; then unlock."""
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        state = self.folder / run / "state.pt"
        deadline = time.monotonic() + 120
        while not state.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert state.exists()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.snakemake("--unlock")

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which jobs find this Python, and the copy's package before the installed one."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}

    def params(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit params.yaml."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file of the copy."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def duplicate(folder: Path, target: Path) -> Project:
    """Copy a copy, with what was made in it, to edit; at another path, with other dates."""
    shutil.copytree(folder, target, symlinks=True)
    return Project(target)


def jobs(output: str) -> dict[str, int]:
    """Return rule -> number of jobs from the table that snakemake prints."""
    found = re.search(r"^job\s+count\n[-\s]+\n((?:\w+\s+\d+\n)+)", output, flags=re.MULTILINE)
    return {line.split()[0]: int(line.split()[1]) for line in found[1].splitlines()} if found else {}


def evaluations(output: str) -> dict[str, int]:
    """Return kind of evaluation -> number of jobs that snakemake names."""
    return dict(Counter(re.findall(r"^    wildcards: run=\S+, where=\S*, kind=(\w+)$", output, flags=re.MULTILINE)))


def tiny(content: dict[str, Any]) -> None:
    """Make params.yaml plan one study of three cells that train in a second."""
    recipe = content["recipes"]["digits"]["standard"]
    recipe |= {"epochs": 2, "batch_size": 32, "train_images": 96}
    content["architectures"]["tiny"] = {"network": "cifar_resnet", "depth": 8, "width": 4}
    content["evaluation"]["test_images"] = 50
    content["evaluation"]["corruption"]["names"] = list(CORRUPTIONS)
    # What plans fewer cells starts sooner.
    content["studies"] = {"quickstart": content["studies"]["quickstart"]}
    content["studies"]["tiny"] = {"dataset": "digits", "architecture": "tiny", "method": ["vanilla", "dropout", "ews"]}
    content["studies"]["tiny"] |= {"seed": 0}
    content["reproduce"] = ["tiny"]


def make_runs(project: Project, study: str) -> None:
    """Train and measure a study on the data of the copy, in this process: without the seconds that each start takes."""
    places = {"data": "data", "runs": "results/runs", "threads": "1", "workers": "1"}
    with contextlib.chdir(project.folder):
        for task in tasks(load(Path("params.yaml")), study).tasks:
            main(filled(task, places))


def copy(target: Path) -> Project:
    """Copy what the workflow needs."""
    for part in PARTS:
        source, place = ROOT / part, target / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            # With the compiled files, which are found to be current: each start of Snakemake would compile them anew.
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("*.egg-info"))
        else:
            shutil.copy(source, place, follow_symlinks=False)
    return Project(target)
