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

from ews.core import files
from ews.core.documents import seal_of
from ews.core.errors import EwsError
from ews.pipeline.remote.adopt.adopt_command import main
from ews.pipeline.remote.adopt.judge import judge

RUN = Path("results/runs/digits/tiny/standard/ews/seed0")
DONE = {"train_cell", "evaluate_cell"}


@pytest.fixture
def bundle(measured: Path, tmp_path: Path) -> Path:
    """The tiny study's runs, unpacked, to change."""
    shutil.copytree(measured / "results/runs", tmp_path / "bundle/results/runs")
    return tmp_path / "bundle"


@pytest.fixture
def here(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that plans the same, with the data and without a run; the working directory."""
    project = copy(tmp_path / "here")
    project.params(tiny)
    # The corrupted sets too: evaluations on sets that are still to be made could not be older than these.
    for name in ("digits", "digits-c"):
        shutil.copytree(measured / "data" / name, project.folder / "data" / name)
    monkeypatch.chdir(project.folder)
    return project


def change(path: Path, **values: Any) -> None:
    """Change a file as one does who knows how it vouches for itself."""
    content = json.loads(path.read_text()) | values
    if "sha256" in content:
        content["sha256"] = seal_of({key: value for key, value in content.items() if key != "sha256"})
    path.write_text(json.dumps(content))


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
        if path.is_file() and path.name not in ("state.pt",):
            assert (here.folder / RUN / path.name).read_bytes() == path.read_bytes()
    here.snakemake("results/tiny/table.md")
    assert "ews" in (here.folder / "results/tiny/table.md").read_text()
    # Again, with one more evaluation lost in between: only that is placed.
    (RUN / "clean.json").unlink()
    main([str(bundle)])
    assert (RUN / "clean.json").is_file()
    assert capsys.readouterr().out.count("0 files placed; its training run lies here already") == 2


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def edited(path: Path) -> None:
    path.write_text(path.read_text().replace('"starts": 1', '"starts": 2'))


def nan(path: Path) -> None:
    path.write_text(path.read_text().replace("{", '{"more": NaN, ', 1))


def vouches_for_an_evaluation(bundle: Path) -> None:
    path = bundle / RUN / "record.json"
    named = json.loads(path.read_text())["files"]
    change(path, files=named | {"clean.npz": files.sha256(bundle / RUN / "clean.npz")})


def without_its_arrays(bundle: Path) -> None:
    path = bundle / RUN / "corruption.json"
    named = json.loads(path.read_text())["files"]
    change(path, files={name: checksum for name, checksum in named.items() if name != "corruption.npz"})


def cell_of_another_width(bundle: Path) -> None:
    record = json.loads((bundle / RUN / "record.json").read_text())
    record["cell"]["method"]["components"][0]["parameters"]["width"] = 0.5
    change(bundle / RUN / "record.json", cell=record["cell"])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cell_of_another_width, r"other parameters than params\.yaml plans: ews\.width=0\.5"),
        (lambda b: edited(b / RUN / "record.json"), "was changed or damaged after it was written"),
        (lambda b: change(b / RUN / "record.json", code="0" * 16), "trained by other code"),
        (lambda b: change(b / RUN / "record.json", data="0" * 64), "data of checksum 0000"),
        (lambda b: change(b / RUN / "record.json", files={}), "model.safetensors: not among the files"),
        (lambda b: (b / RUN / "record.json").write_text("[]"), "record.json is missing or not one"),
        (lambda b: (b / RUN / "record.json").unlink(), "record.json is missing"),
        (lambda b: damaged(b / RUN / "model.safetensors"), "model.safetensors: damaged"),
        (lambda b: (b / RUN / "kept.csv").unlink(), "kept.csv: missing"),
        (lambda b: (b / RUN).rename(b / RUN.parent / "seed7"), "no study in params.yaml plans it"),
        (lambda b: nan(b / RUN / "record.json"), "record.json is missing or not one"),
        (lambda b: (b / RUN / "record.json").write_text("[" * 100_000), "record.json is missing or not one"),
        (lambda b: (b / RUN / "record.json").write_text('{"cell": ' + "9" * 5000), "record.json is missing or not one"),
        (lambda b: change(b / RUN / "record.json", files=["model.safetensors"]), "record.json is missing or not one"),
        (lambda b: change(b / RUN / "record.json", teachers=["at"]), "record.json is missing or not one"),
        (vouches_for_an_evaluation, "clean.npz: no file of a training"),
    ],
)
def test_what_is_not_the_plan_s_is_refused_and_nothing_is_placed(
    spoil: Callable[[Path], Any], reason: str, here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(bundle)
    with pytest.raises(EwsError, match="1 of 3 runs are not as planned, so nothing was placed"):
        main([str(bundle)])
    out = capsys.readouterr().out
    assert "ews/seed" in out and re.search(reason, out)
    assert not placed(here)
    with pytest.raises(EwsError, match="1 of 3 runs are not as planned; what is right of the bundle was placed"):
        main([str(bundle), "--skip"])
    assert not (here.folder / RUN).exists() and (here.folder / RUN.parents[1] / "vanilla/seed0/record.json").is_file()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda b: change(b / RUN / "clean.json", code="0" * 16), "clean.json: measured by other code"),
        (lambda b: change(b / RUN / "clean.json", run="0" * 64), "clean.json: is of an earlier training"),
        (lambda b: change(b / RUN / "clean.json", options={"test_images": 20}), "other settings than are planned"),
        (
            lambda b: change(b / RUN / "clean.json", options=[1]),
            r"clean\.json: options: Input should be",
        ),
        (lambda b: nan(b / RUN / "clean.json"), r"clean\.json: not valid JSON"),
        (lambda b: damaged(b / RUN / "clean.npz"), "clean.npz: damaged"),
        (lambda b: damaged(b / RUN / "corruption.npz"), "corruption.npz: damaged"),
        (without_its_arrays, "corruption.npz: damaged, or of another evaluation"),
        (lambda b: (b / RUN / "corruption.json").write_text("{"), "corruption.json: not valid JSON"),
    ],
)
def test_a_refused_evaluation_leaves_its_training(
    spoil: Callable[[Path], Any], reason: str, here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(bundle)
    with pytest.raises(EwsError, match="so nothing would be placed"):
        main([str(bundle), "--check"])
    assert not placed(here) and not (here.folder / "results/runs").exists()
    with pytest.raises(EwsError, match="so nothing was placed"):
        main([str(bundle)])
    out = capsys.readouterr().out
    assert "ews/seed0: some evaluations are refused" in out and re.search(reason, out)
    assert not placed(here)
    with pytest.raises(EwsError, match="what is right of the bundle was placed"):
        main([str(bundle), "--skip"])
    kind = "clean" if "clean" in reason or "settings" in reason else "corruption"
    there = {path.name for path in (here.folder / RUN).iterdir()}
    assert "record.json" in there and not {f"{kind}.json", f"{kind}.npz"} & there
    assert {"clean.json", "corruption.json"} & there


def test_what_snakemake_remembers_of_these_names_is_forgotten(
    here: Project, measured: Path, bundle: Path, tmp_path: Path
) -> None:
    # A project that has made these runs itself, with other code, of which one was killed half-way.
    shutil.copytree(measured / "results/runs", here.folder / "results/runs")
    here.snakemake("--touch", "--forceall", "evaluate")
    shutil.rmtree(here.folder / "results/runs")
    for path in (here.folder / ".snakemake/metadata").rglob("*"):
        if path.is_file() and '"train_' in path.read_text():
            change(path, params=["'other code'"])
    main([str(bundle), "--placed", "placed.txt"])
    assert set(jobs(here.snakemake("-n").stdout)) & DONE
    names = Path("placed.txt").read_text().splitlines()
    assert str(RUN / "record.json") in names and all((here.folder / name).is_file() for name in names)
    here.snakemake("--cleanup-metadata", *names, check=False)
    assert not set(jobs(here.snakemake("-n").stdout)) & DONE


def test_a_run_that_is_being_written_stops_all(here: Project, bundle: Path) -> None:
    (here.folder / RUN).mkdir(parents=True)
    with files.exclusive(here.folder / RUN), pytest.raises(EwsError, match="another process is writing here"):
        main([str(bundle)])
    assert not list(here.folder.glob("results/runs/**/record.json"))


def test_a_run_that_was_written_meanwhile_is_kept(here: Project, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def and_then_another(*arguments: Any, **options: Any) -> Any:
        found = judge(*arguments, **options)
        (here.folder / RUN).mkdir(parents=True)
        (here.folder / RUN / "record.json").write_text("{}")
        return found

    monkeypatch.setattr("ews.pipeline.remote.adopt.adopt_command.judge", and_then_another)
    with pytest.raises(EwsError, match="was written meanwhile; nothing was placed"):
        main([str(bundle)])
    assert [path.read_text() for path in here.folder.glob("results/runs/**/record.json")] == ["{}"]


def test_what_a_killed_command_left_is_swept(here: Project, bundle: Path) -> None:
    left, held = here.folder / "results/runs/.adopt-left/x", here.folder / "results/runs/.adopt-held"
    left.mkdir(parents=True)
    with files.exclusive(held):
        main([str(bundle)])
        assert not left.parent.exists() and held.is_dir()


def test_another_evaluation_here_is_kept(here: Project, bundle: Path) -> None:
    main([str(bundle)])
    (here.folder / RUN / "clean.json").write_text('{"error": 1}')
    with pytest.raises(EwsError, match="1 of 3 runs are not as planned"):
        main([str(bundle)])
    assert (here.folder / RUN / "clean.json").read_text() == '{"error": 1}'
    # One whose predictions were lost is completed.
    shutil.copy(bundle / RUN / "clean.json", here.folder / RUN / "clean.json")
    (here.folder / RUN / "clean.npz").unlink()
    main([str(bundle)])
    assert (here.folder / RUN / "clean.npz").is_file()


def test_another_training_here_is_kept(here: Project, bundle: Path) -> None:
    (here.folder / RUN).mkdir(parents=True)
    (here.folder / RUN / "record.json").write_text("{}")
    with pytest.raises(EwsError, match="1 of 3 runs are not as planned"):
        main([str(bundle)])
    assert (here.folder / RUN / "record.json").read_text() == "{}"


def test_without_the_data_the_reason_is_named(here: Project, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("data/digits")
    with pytest.raises(EwsError, match="3 of 3"):
        main([str(bundle)])
    assert "here nothing: make it first, `snakemake --cores 1 data/digits/dataset.json`" in capsys.readouterr().out


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
