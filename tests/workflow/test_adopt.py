"""Runs made elsewhere: the DAG counts them as done, and whatever is not what the plan would make here is refused."""

import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.workflow import Project, copy, jobs, tiny

from ews.adopt.__main__ import main
from ews.errors import EwsError

RUN = Path("results/runs/digits/tiny/standard/ews/seed0")
DONE = {"train_cell", "train_searching_cell", "evaluate_clean", "evaluate_corruption"}


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    """The tiny study's runs, unpacked, to change."""
    shutil.copytree(built / "results/runs", tmp_path / "bundle/results/runs")
    return tmp_path / "bundle"


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that plans the same, with the data and without a run; the working directory."""
    project = copy(tmp_path / "here")
    project.params(tiny)
    # The corrupted sets too: evaluations on sets that are still to be made could not be older than these.
    for name in ("digits", "digits-c"):
        shutil.copytree(built / "data" / name, project.folder / "data" / name)
    monkeypatch.chdir(project.folder)
    return project


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | values))


def placed(project: Project) -> list[str]:
    return sorted(str(path.relative_to(project.folder)) for path in project.folder.glob("results/runs/*"))


def test_adopted_runs_count_as_done(here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(jobs(here.snakemake("-n").stdout)) >= DONE
    with tarfile.open("runs.tar.gz", "w:gz") as file:
        file.add(bundle / "results", "anywhere/results")
    main(["runs.tar.gz", "--check"])
    assert not placed(here)
    main(["runs.tar.gz"])
    assert capsys.readouterr().out.count("files placed") == 3
    assert not set(jobs(here.snakemake("-n").stdout)) & DONE
    for path in (bundle / RUN).glob("*.*"):
        if path.name not in ("state.pt",):
            assert (here.folder / RUN / path.name).read_bytes() == path.read_bytes()
    here.snakemake()
    assert "ews" in (here.folder / "results/tiny/table.md").read_text()
    # Again, with one more evaluation lost in between: only that is placed.
    (RUN / "clean.json").unlink()
    main([str(bundle)])
    assert (RUN / "clean.json").is_file()
    assert capsys.readouterr().out.count("0 files placed; its training lies here already") == 2


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cell_of_another_width(bundle: Path) -> None:
    record = json.loads((bundle / RUN / "record.json").read_text())
    record["cell"]["method"]["components"][0]["width"] = 0.5
    change(bundle / RUN / "record.json", cell=record["cell"])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cell_of_another_width, r"other parameters than params\.yaml plans: ews\.width=0\.5"),
        (lambda b: change(b / RUN / "record.json", code="0" * 16), "trained by other code"),
        (lambda b: change(b / RUN / "record.json", data="0" * 64), "data of checksum 0000"),
        (lambda b: change(b / RUN / "record.json", files={}), "model.safetensors: not among the files"),
        (lambda b: (b / RUN / "record.json").write_text("[]"), "no JSON object: not a finished training"),
        (lambda b: (b / RUN / "record.json").unlink(), "record.json is missing"),
        (lambda b: damaged(b / RUN / "model.safetensors"), "model.safetensors: damaged"),
        (lambda b: (b / RUN / "kept.csv").unlink(), "kept.csv: missing"),
        (lambda b: (b / RUN).rename(b / RUN.parent / "seed7"), "no study in params.yaml plans it"),
        (lambda b: change(b / RUN / "clean.json", code="0" * 16), "clean.json: measured by other code"),
        (lambda b: change(b / RUN / "clean.json", record="0" * 64), "clean.json: measured another training"),
        (lambda b: change(b / RUN / "clean.json", options={"test_images": 20}), "other settings than are planned"),
        (lambda b: damaged(b / RUN / "clean.npz"), "clean.npz: damaged"),
        (lambda b: damaged(b / RUN / "corruption.csv"), "corruption.csv: damaged"),
        (lambda b: (b / RUN / "corruption.json").write_text("{"), "corruption.json: no JSON object"),
    ],
)
def test_what_is_not_the_plan_s_is_refused_and_nothing_is_placed(
    spoil: Callable[[Path], Any], reason: str, here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluations = bundle / RUN
    if evaluations.joinpath("eval,test_images=50").exists():
        pytest.fail("the tiny study's evaluations have a folder of their own")
    spoil(bundle)
    with pytest.raises(EwsError, match="1 of 3 runs are refused, so nothing was placed"):
        main([str(bundle)])
    out = capsys.readouterr().out
    assert "ews/seed" in out and re.search(reason, out)
    assert not placed(here)
    with pytest.raises(EwsError, match="1 of 3 runs are refused; the others are placed"):
        main([str(bundle), "--skip"])
    assert not (here.folder / RUN).exists() and (here.folder / RUN.parents[1] / "vanilla/seed0/record.json").is_file()


def test_another_training_here_is_kept(here: Project, bundle: Path) -> None:
    (here.folder / RUN).mkdir(parents=True)
    (here.folder / RUN / "record.json").write_text("{}")
    with pytest.raises(EwsError, match="1 of 3 runs are refused"):
        main([str(bundle)])
    assert (here.folder / RUN / "record.json").read_text() == "{}"


def test_without_the_data_the_reason_is_named(here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/digits")
    with pytest.raises(EwsError, match="3 of 3"):
        main([str(bundle)])
    assert "here nothing: make it first, `snakemake data/<dataset>/dataset.json`" in capsys.readouterr().out


def test_dishonest_archives_are_refused(here: Project, bundle: Path) -> None:
    with tarfile.open("runs.tar", "w") as file:
        info = tarfile.TarInfo(f"../{RUN}/record.json")
        file.addfile(info, io.BytesIO())
    with pytest.raises(EwsError, match="outside"):
        main(["runs.tar"])
    with tarfile.open("runs.tar", "w") as file:
        file.add(bundle / RUN / "record.json", f"a/{RUN}/record.json")
        file.add(bundle / RUN / "record.json", f"b/{RUN}/record.json")
    with pytest.raises(EwsError, match=r"holds digits/.*/record\.json twice"):
        main(["runs.tar"])
    Path("runs.tar").write_bytes(b"nothing")
    with pytest.raises(EwsError, match=r"runs\.tar"):
        main(["runs.tar"])
    (Path("empty") / "folder").mkdir(parents=True)
    with pytest.raises(EwsError, match="no run in it"):
        main(["empty"])
    assert not placed(here)
