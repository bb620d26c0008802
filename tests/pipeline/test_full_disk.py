"""Every command that writes, where it cannot: one line that names the place, status 1, and all as it was."""

import contextlib
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.commands import commands
from helpers.runs import reseal
from helpers.workflow import Project, copy, make_runs, tiny

from ews.cli import main
from ews.core.command_line import Writes
from ews.core.console import finished
from ews.core.documents import write_sealed
from ews.core.faults import TEMPORARY
from ews.core.files import sha256

STUDY = "one"
RUN = "digits/tiny/standard/vanilla/seed0"
CIFAR = "--seed 0 --profile cifar"
IMAGES = "--images data/small/test_images.npy --seed 0"
MEASURED = f"--study results/{STUDY}/study.json --measurements results/{STUDY}/measurements.csv"
# In a line OUT is a new place. What a command writes into is named by its option.
LINES = {
    "study manifest": f"study manifest {STUDY} --out OUT.json",
    "study schema": "study schema --out OUT.json",
    "data prepare": "data prepare --dataset digits --source digits --validation 0.1 --manifest data/sources.yaml "
    "--out OUT",
    "data extra": "data extra --data data/small --file extra.npz",
    "corrupt folder": "corrupt folder --images pictures --out OUT --seed 0 --names fog --severities 1",
    "corrupt npy": f"corrupt npy {IMAGES} --names contrast --out OUT",
    "corrupt generate": "corrupt generate --data data/small --name contrast --seed 0 --profile cifar --out OUT.npy",
    "corrupt labels": "corrupt labels --data data/small --out OUT.npy",
    "corrupt official": "corrupt official --data data/small --source small_c --name labels --manifest sources.yaml "
    "--downloads downloads --out OUT.npy",
    "corrupt sheet": "corrupt sheet --data data/small --out OUT.png --seed 0",
    "perturb generate": f"perturb generate {IMAGES} --names brightness --out OUT",
    "perturb sheet": f"perturb sheet {IMAGES} --out OUT.png",
    "train": "train --cell @cell.json --data data/digits --out OUT --threads 1",
    "evaluate clean": f"evaluate clean --run results/runs/{RUN} --data data/digits --out OUT --test-images 50",
    "report measure": f"report measure --study results/{STUDY}/study.json --runs results/runs --out OUT.csv "
    "--records OUT-records.json --metrics OUT-metrics.json --images OUT-images.csv",
    "report table": f"report table {MEASURED} --out-dir OUT",
    "report figures": f"report figures {MEASURED} --runs results/runs --out-dir OUT",
    "export": f"export --run results/runs/{RUN} --data data/digits --out OUT",
    "accept": f"accept {STUDY} --reason none --runs old",
    "remote plan": f"remote plan {STUDY} --out OUT.json",
    "remote pack": f"remote pack {STUDY} --out OUT.tar.xz",
    "remote adopt": "remote adopt bundle --runs OUT",
}
# Other kinds write by the same function as `clean`; a task that `remote work` starts is one of the commands above.
ALIKE = {*("evaluate corruption", "evaluate perturbation", "evaluate adversarial", "evaluate adaptive"),
         *("evaluate mimicry", "evaluate filters", "remote work", "study tune", "evaluate validation"),
         "evaluate subnets"}  # fmt: skip


def one(content: dict) -> None:  # type: ignore[type-arg]
    tiny(content)
    content["studies"] = {STUDY: content["studies"]["tiny"] | {"method": "vanilla"}}
    content["reproduce"] = [STUDY]


def ews(line: str) -> None:
    main(line.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which one cell is trained and measured, with what the other commands take."""
    project: Project = copy(tmp_path_factory.mktemp("made"))
    project.params(one)
    generator = np.random.default_rng(0)
    with contextlib.chdir(project.folder):
        ews(LINES["data prepare"].replace("OUT", "data/digits"))
        for name in ("gaussian_noise", "contrast"):
            ews(f"corrupt generate --data data/digits --name {name} {CIFAR} --out data/digits-c/{name}.npy")
        ews("corrupt labels --data data/digits --out data/digits-c/labels.npy")
        make_runs(project, STUDY)
        ews(f"study manifest {STUDY} --out results/{STUDY}/study.json")
        line = LINES["report measure"].replace("OUT-", f"results/{STUDY}/")
        ews(line.replace("OUT", f"results/{STUDY}/measurements"))
        with contextlib.redirect_stdout(io.StringIO()) as cell:
            ews(f"study cell {RUN}")
        Path("cell.json").write_text(cell.getvalue())
        # Few images, so that corrupting them is quick.
        arrays = {"train_images": 20, "train_labels": 20, "test_images": 12, "test_labels": 12}
        small = {name: np.load(f"data/digits/{name}.npy")[:count] for name, count in arrays.items()}
        np.savez("small.npz", **small)
        shutil.copytree("data/digits", "data/small")
        _describe_small(small)
        images = generator.integers(0, 256, (5, *small["test_images"].shape[1:])).astype(np.uint8)
        np.savez("extra.npz", images=images, labels=np.arange(5))
        _picture(Path("pictures/a.png"))
        _publish(small["test_labels"])
        shutil.copytree("results/runs", "bundle/results/runs")
        shutil.copytree("results/runs", "old")
        reseal(Path("old") / RUN / "record.json", lambda record: record.update(code="0" * 16))
    return project.folder


def _describe_small(small: dict[str, np.ndarray]) -> None:
    about = json.loads(Path("data/small/dataset.json").read_text())
    for name, array in {**small, "validation": np.arange(0)}.items():
        np.save(f"data/small/{name}.npy", array)
        about["files"][f"{name}.npy"] = sha256(f"data/small/{name}.npy")
    about |= {"name": "small", "train": 20, "test": 12, "validation": 0}
    about["source"]["name"] = "small"
    del about["checksum"]
    write_sealed("data/small/dataset.json", about)


def _picture(path: Path) -> None:
    from PIL import Image

    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)


def _publish(labels: np.ndarray) -> None:
    """Put a published corrupted set where downloads are."""
    buffer = io.BytesIO()
    np.save(buffer, np.tile(labels, 5))
    Path("downloads").mkdir()
    with tarfile.open("downloads/small-c.tar", "w") as file:
        about = tarfile.TarInfo("small-C/labels.npy")
        about.size = len(buffer.getvalue())
        file.addfile(about, io.BytesIO(buffer.getvalue()))
    body = Path("downloads/small-c.tar").read_bytes()
    entry = {"title": "small", "kind": "cifar_c", "file": "small-c.tar", "size": len(body), "url": []}
    entry |= {"checksum": [f"sha256:{hashlib.sha256(body).hexdigest()}"], "licence": "none", "citation": "none"}
    Path("sources.yaml").write_text(yaml.safe_dump({"small_c": entry}))


def files(folder: Path) -> dict[str, str]:
    """Return the checksum of every file but locks, which are empty."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@contextlib.contextmanager
def largest_file(size: int):  # type: ignore[no-untyped-def]
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fails(line: str) -> str:
    """Return the one line that a command ends with."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        with pytest.raises(SystemExit) as stop:
            finished(lambda: ews(line))
    assert stop.value.code == 1
    errors = [text for text in said.getvalue().splitlines() if text.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in said.getvalue()
    assert said.getvalue().splitlines()[-1] == errors[0]
    return errors[0]


def test_every_command_that_writes_is_here() -> None:
    assert {command.name for command in commands() if command.of(Writes)} | {"data extra"} == set(LINES) | ALIKE


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_limit_on_files_is_one_line_and_changes_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str, device_as_it_was: None
) -> None:
    monkeypatch.chdir(made)
    before = files(made)
    with largest_file(8):
        said = fails(LINES[name].replace("OUT", "new/out"))
    place = {"data extra": "data/small-extra", "accept": "old"}.get(name, "new/out")
    assert f"error: {place}" in said
    assert "cannot be written: File too large" in said and "ulimit -f" in said
    assert TEMPORARY not in said
    assert files(made) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study manifest", "corrupt generate", "report table", "export"])
def test_a_place_that_cannot_be_is_one_line_and_changes_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str, device_as_it_was: None
) -> None:
    """Below a file, where no folder can be made."""
    monkeypatch.chdir(made)
    before = files(made)
    said = fails(LINES[name].replace("OUT", "cell.json/out"))
    assert "cell.json" in said and "not a directory" in said.lower()
    assert files(made) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report table", "report measure", "export"])
def test_files_that_are_there_stay_as_they_were(
    made: Path, monkeypatch: pytest.MonkeyPatch, name: str, device_as_it_was: None
) -> None:
    """Also where some of the new ones would have had room."""
    monkeypatch.chdir(made)
    line = LINES[name].replace("OUT", f"again/{name.replace(' ', '-')}/out")
    ews(line)
    before = files(made)
    largest = max(os.path.getsize(path) for path in Path("again", name.replace(" ", "-")).rglob("*") if path.is_file())
    with largest_file(largest - 1):
        fails(line)
    assert files(made) == before


@pytest.mark.slow
@pytest.mark.parametrize("options", ["size=16k", "size=1m,nr_inodes=2", "size=1m,ro"])
def test_a_file_system_that_is_full_or_read_only_is_one_line(tmp_path: Path, options: str) -> None:
    mount = f"mount -t tmpfs -o {options} tmpfs {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file systems may be mounted here")
    command = f"{mount} && {sys.executable} -m ews study schema --out {tmp_path}/out/schema.json"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    cure = "can only be read" if "ro" in options.split(",") else "The disk is full"
    assert done.stderr.startswith(f"error: {tmp_path}/out/schema.json: cannot be written: ")
    assert cure in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def device_as_it_was():  # type: ignore[no-untyped-def]
    """Undo what choosing a device sets for the process."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")
