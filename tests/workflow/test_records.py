"""Records without weights: packed, placed in a fresh checkout, and done there; refused where weights are needed."""

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.workflow import Project, copy, jobs, tiny

from ews.cli import main as ews
from ews.core.errors import EwsError
from ews.pipeline import commands
from ews.pipeline.evaluate import evaluation_uses as measured_by
from ews.pipeline.remote.adopt.adopt_command import main as adopt
from ews.pipeline.remote.pack_command import main as pack
from ews.pipeline.study.naming import canonical
from ews.pipeline.study.params import load
from ews.pipeline.study.trials import VALIDATION, trials
from ews.pipeline.train import training_uses as trained_by

RUN = Path("results/runs/digits/tiny/standard/ews/seed0")
DECAY = "recipes.digits.standard.weight_decay"


@pytest.fixture
def there(measured: Path, tmp_path: Path) -> Project:
    """A project with the tiny study's runs."""
    project = copy(tmp_path / "there")
    project.params(tiny)
    shutil.copytree(measured / "results/runs", project.folder / "results/runs")
    shutil.copytree(measured / "data/digits", project.folder / "data/digits")
    return project


@pytest.fixture
def here(measured: Path, tmp_path: Path) -> Project:
    """A fresh checkout that plans the same, with the data alone."""
    project = copy(tmp_path / "here")
    project.params(tiny)
    shutil.copytree(measured / "data/digits", project.folder / "data/digits")
    return project


@pytest.fixture
def bundle(there: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The records of the tiny study; its project is the working directory."""
    monkeypatch.chdir(there.folder)
    pack(["tiny", "--out", "results/tiny/records.tar.xz"])
    return there.folder / "results/tiny/records.tar.xz"


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as file:
        return file.getnames()


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_the_same_records_are_the_same_bytes(suffix: str, bundle: Path, there: Project) -> None:
    first, second = bundle.with_name(f"first{suffix}"), bundle.with_name(f"second{suffix}")
    pack(["tiny", "--out", str(first)])
    for path in there.folder.glob("results/runs/**/*.*"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    pack(["tiny", "--out", str(second)])
    assert first.read_bytes() == second.read_bytes()
    assert names(first) == sorted(names(first))


def test_what_reports_read_is_packed_and_no_weights(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = names(bundle)
    own = [Path(name).name for name in packed if name.startswith(str(RUN))]
    logs = ["controller.csv", "epochs.csv", "kept.csv", "record.json", "timing.csv"]
    assert own == sorted(["clean.json", "clean.npz", "corruption.json", "corruption.npz", *logs])
    assert not [name for name in packed if "model" in name or "state" in name]
    pack(["tiny", "--out", "other.tar", "--match", "/ews/"])
    assert {str(Path(name).parent) for name in names(Path("other.tar"))} == {str(RUN)}
    out = capsys.readouterr().out
    assert "1 runs and 2 evaluations" in out and "--without-weights" in out


def test_what_there_is_of_a_study_is_packed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (RUN / "record.json").unlink()
    (RUN.parents[1] / "vanilla/seed0/clean.json").unlink()
    pack(["tiny", "--out", "rest.tar"])
    assert "2 runs and 3 evaluations" in capsys.readouterr().out
    assert set(names(bundle)) - set(names(Path("rest.tar"))) == {
        *(name for name in names(bundle) if "/ews/" in name),
        *(f"{RUN.parents[1]}/vanilla/seed0/clean.{suffix}" for suffix in ("json", "npz")),
    }
    shutil.rmtree("results/runs")
    with pytest.raises(EwsError, match="no finished run of tiny is here"):
        pack(["tiny", "--out", "none.tar"])
    assert not Path("none.tar").exists()


def test_what_is_damaged_is_not_packed(bundle: Path) -> None:
    with pytest.raises(EwsError, match=r"has to end in \.tar"):
        pack(["tiny", "--out", "records.rar"])
    with pytest.raises(EwsError, match="no regular expression"):
        pack(["tiny", "--out", "records.tar", "--match", "("])
    for name in ("epochs.csv", "corruption.npz"):
        content = (RUN / name).read_bytes()
        (RUN / name).write_bytes(content[:-1] + b"x")
        with pytest.raises(EwsError, match=f"{name}: damaged"):
            pack(["tiny", "--out", "records.tar"])
        (RUN / name).write_bytes(content)
    assert not Path("records.tar").exists()


def test_records_are_placed_where_that_is_asked_for(
    bundle: Path, here: Project, there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here.folder)
    with pytest.raises(EwsError, match="3 of 3 runs are not as planned, so nothing was placed"):
        adopt([str(bundle)])
    assert "--without-weights places its records alone" in capsys.readouterr().out
    assert not list(Path().glob("results/runs/**/record.json"))
    adopt([str(bundle), "--without-weights"])
    assert capsys.readouterr().out.count("files placed; without weights") == 3
    for name in names(bundle):
        if not name.endswith(".npz"):
            assert Path(name).read_bytes() == (there.folder / name).read_bytes()
            continue
        with np.load(name) as found, np.load(there.folder / name) as whole:
            assert set(whole) - set(found) == {"confidence"}
            assert all(np.array_equal(found[key], whole[key]) for key in found)
    # Packed here they are the same.
    pack(["tiny", "--out", "again.tar.xz"])
    assert Path("again.tar.xz").read_bytes() == bundle.read_bytes()
    measuring = ["--run", str(RUN), "--data", "data/digits", "--out", str(RUN)]
    with pytest.raises(EwsError, match=r"model\.safetensors: missing: .* not brought .* delete .*record\.json"):
        ews(["evaluate", "clean", *measuring])
    assert (RUN / "clean.json").is_file()
    # Weights and confidences that come later are put beside them, and stay.
    for source in (there.folder / "results/runs", bundle):
        adopt([str(source), "--without-weights"])
        assert (RUN / "model.safetensors").is_file()
        assert (RUN / "clean.npz").read_bytes() == (there.folder / RUN / "clean.npz").read_bytes()
    ews(["evaluate", "clean", *measuring])


def test_arrays_are_vouched_for_one_by_one(
    bundle: Path, here: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here.folder)
    with tarfile.open(bundle) as file:
        file.extractall("unpacked", filter="data")
    path = Path("unpacked/results/runs/digits/tiny/standard/ews/seed0/clean.npz")
    with np.load(path) as found:
        good = dict(found)
    wrong: list[dict[str, Any]] = [good | {name: good[name] + good[name].dtype.type(1)} for name in good]
    wrong += [{name: good[name] for name in good if name != left_out} for left_out in good]
    wrong += [good | {"more": good["label"]}, good | {"label": good["label"].astype(np.int32)}, {}]
    for arrays in wrong:
        np.savez(path, **arrays)
        with pytest.raises(EwsError, match="1 of 3 runs"):
            adopt(["unpacked/results", "--without-weights", "--check"])
        assert "clean.npz: damaged" in capsys.readouterr().out
    np.savez(path, **good)
    adopt(["unpacked/results", "--without-weights"])


def test_weights_that_are_brought_are_the_right_ones(
    bundle: Path, here: Project, there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (RUN / "model.safetensors").write_bytes(b"others")
    monkeypatch.chdir(here.folder)
    with pytest.raises(EwsError, match="1 of 3 runs"):
        adopt([str(there.folder / "results/runs"), "--without-weights"])
    assert "model.safetensors: damaged" in capsys.readouterr().out


def tuned(content: dict[str, Any]) -> None:
    """Let the tiny study have another seed, and a second study tune with two trials."""
    content["studies"]["tiny"]["seed"] = [0, 1]
    content["studies"]["tuning"] = {"dataset": "digits", "architecture": "tiny", "method": "vanilla", "seed": 0}
    content["studies"]["tuning"]["tune"] = {"seeds": [7], "grid": {"vanilla": {DECAY: [1.0e-4, 1.0e-3]}}}


def make_trial(project: Project) -> None:
    """Train and measure the first of the trials."""
    trial = trials(load(project.folder / "params.yaml"), "tuning")[0].planned
    run, how = f"results/runs/{trial.run}", {"threads": 1, "workers": 0}
    asked = trial.options(VALIDATION)
    given = {"data": "data/digits", "how": how}
    ews(commands.train(cell=canonical(trial.cell), out=run, code=trained_by.code(trial.cell), teachers=[], **given))
    code = measured_by.code(trial.cell, VALIDATION, asked)
    out, words = f"results/runs/{trial.results}", commands.options(dict(asked))
    ews(commands.evaluate(VALIDATION, run=run, out=out, code=code, asked=words, **given))


@pytest.mark.slow
def test_a_fresh_checkout_goes_on_with_the_rest(there: Project, here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in (there, here):
        project.params(tuned)
    monkeypatch.chdir(there.folder)
    make_trial(there)
    for study in ("tiny", "tuning"):
        pack([study, "--out", f"{study}.tar.xz"])
    monkeypatch.chdir(here.folder)
    for study in ("tiny", "tuning"):
        adopt([str(there.folder / f"{study}.tar.xz"), "--without-weights"])

    # The corrupted sets are made only for the new cells, and repeat none of the others.
    planned = jobs(here.snakemake("-n", "tiny").stdout)
    assert (planned["train_cell"], planned["evaluate_cell"], planned["corruption"]) == (3, 6, 2)
    planned = jobs(here.snakemake("-n", "tune_tuning").stdout)
    assert (planned["train_cell"], planned["evaluate_cell"], planned["tune"]) == (1, 1, 1)

    # What needs weights is refused before anything runs, and not trained again.
    here.params(lambda content: content["studies"]["tiny"].update(seed=0, evaluations=["clean", "perturbation"]))
    refused = here.snakemake("tiny", check=False)
    assert refused.returncode and "weights were not brought" in refused.stdout
    assert "cannot be measured (perturbation)" in refused.stdout
    assert "record.json, then give the command" in refused.stdout

    here.params(lambda content: content["studies"]["tiny"].update(evaluations=["clean", "corruption"]))
    here.snakemake("results/tiny/table.md", "results/tiny/images.csv")
    assert "ews" in Path("results/tiny/table.md").read_text()
    assert not list(Path().glob("results/runs/**/model.safetensors"))

    # A run without its record is trained again, and measured; the others are left alone.
    (RUN / "record.json").unlink()
    planned = jobs(here.snakemake("-n", "tiny").stdout)
    assert (planned["train_cell"], planned["evaluate_cell"]) == (1, 2)
    assert yaml.safe_load(Path("params.yaml").read_text())["studies"]["tiny"]["seed"] == 0
