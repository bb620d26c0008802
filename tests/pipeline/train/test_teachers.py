"""Trainings that learn from other runs: what they refuse, what they remember of their teachers, what they record."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ews.core.console import finished
from ews.core.documents import SEAL, seal_of
from ews.core.files import sha256
from ews.data.dataset import Dataset
from ews.models.architecture_registry import ARCHITECTURES
from ews.models.wide_resnet.wide_resnet_spec import WideResNetParameters
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.study.cell import ArchitectureCell, Cell
from ews.pipeline.train import checkpoint
from ews.pipeline.train.loop import fit
from ews.pipeline.train.teacher_networks import load
from ews.pipeline.train.train_command import main
from ews.pipeline.train.training import Training
from ews.pipeline.train.training_uses import uses

MakeCell = Callable[..., Cell]
Teachers = Callable[[Cell], dict[str, Path]]
CPU = torch.device("cpu")
STUDENT = "mixacm"


@pytest.fixture
def teacher(make_cell: MakeCell, teachers: Teachers, tmp_path: Path) -> Path:
    """A copy of the finished run that students learn from, to damage."""
    return shutil.copytree(teachers(make_cell(STUDENT))["robust"], tmp_path / "teacher")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must end with status 1 and one message, and return that."""
    with pytest.raises(SystemExit) as exit_status:
        finished(lambda: main(arguments))
    assert exit_status.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("error: ") == 1 and "Traceback" not in said
    return said


def command(cell: Cell, data: Path, out: Path, *teachers: str) -> list[str]:
    options = [option for text in teachers for option in ("--teacher", text)]
    return ["--cell", cell.model_dump_json(), "--data", str(data), "--out", str(out), "--threads", "1", *options]


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (STUDENT, [], r"the cell's method needs ['robust'], none is given; see --teacher."),
        (STUDENT, ["clean={run}"], "the cell's method needs ['robust'], ['clean'] given; see --teacher."),
        (STUDENT, ["robust={run}", "clean={run}"], "needs ['robust'], ['clean', 'robust'] given"),
        ("vanilla", ["robust={run}"], "the cell's method needs none, ['robust'] given"),
        (STUDENT, ["robust={run}", "robust={run}"], "--teacher: 'robust' is given twice."),
        (STUDENT, ["{run}"], "is not of the form ROLE=RUN"),
        (STUDENT, ["robust="], "--teacher: 'robust=' is not of the form ROLE=RUN"),
    ],
)
def test_other_roles_than_the_method_s_are_refused(
    method: str,
    given: list[str],
    message: str,
    make_cell: MakeCell,
    data: Path,
    teacher: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = command(make_cell(method), data, tmp_path / "out", *(text.format(run=teacher) for text in given))
    assert message in refused(arguments, capsys)
    assert not (tmp_path / "out" / "record.json").exists()


def unfinished(teacher: Path) -> str:
    (teacher / "record.json").unlink()
    return "no finished run here (record.json is missing). Train it first"


def architecture(teacher: Path) -> str:
    edit(teacher, lambda record: record["cell"]["architecture"]["parameters"].update(width=8))
    return "cannot be the teacher 'robust': its architecture is "


def method(teacher: Path) -> str:
    edit(teacher, lambda record: record["cell"]["method"].update(name="at"))
    return "its method is at, the cell expects vanilla, as in blobs/wider/standard/vanilla/seed7"


def seed(teacher: Path) -> str:
    edit(teacher, lambda record: record["cell"].update(seed=0))
    return "its seed is 0, the cell expects 7, as in blobs/wider/standard/vanilla/seed7"


def other_data(teacher: Path) -> str:
    edit(teacher, lambda record: record.update(data="0" * 64))
    return "was trained on data of checksum 0000000000000000..."


def damaged(teacher: Path) -> str:
    path = teacher / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "damaged, or of another run: its SHA-256 is "


def missing(teacher: Path) -> str:
    (teacher / "model.safetensors").unlink()
    return "model.safetensors: missing: the run's weights were not brought along"


def no_best(teacher: Path) -> str:
    edit(teacher, lambda record: record["files"].pop("model.safetensors"))
    return "names no model.safetensors"


def not_a_record(teacher: Path) -> str:
    (teacher / "record.json").write_text("[]")
    return "not a file of this version"


def edit(teacher: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a record and seal it again, as if another run had written it."""
    path = teacher / "record.json"
    record = json.loads(path.read_text())
    del record[SEAL]
    change(record)
    path.write_text(json.dumps({**record, SEAL: seal_of(record)}))


def recorded(run: Path) -> Cell:
    return FinishedRun.open(run).record.cell


@pytest.mark.parametrize(
    "harm", [unfinished, architecture, method, seed, other_data, damaged, missing, no_best, not_a_record]
)
def test_a_run_that_cannot_teach_is_refused(
    harm: Callable[[Path], str],
    make_cell: MakeCell,
    data: Path,
    teacher: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = harm(teacher)
    said = refused(command(make_cell(STUDENT), data, tmp_path / "out", f"robust={teacher}"), capsys)
    assert message in said and str(teacher) in said and str(tmp_path / "out") in said
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_the_weights_that_the_cell_names_are_loaded(
    make_cell: MakeCell, dataset: Dataset, teacher: Path, tmp_path: Path
) -> None:
    # Make the best weights others than the last ones, as after more than one epoch.
    taught = recorded(teacher).model_copy(update={"seed": 8})
    fit(cell=taught, dataset=dataset, out=tmp_path / "other", code="0" * 16, device=CPU, threads=1, workers=0)
    shutil.copy(tmp_path / "other" / "model.safetensors", teacher / "model-best.safetensors")
    best = sha256(teacher / "model-best.safetensors")
    edit(teacher, lambda record: record["files"].update({"model-best.safetensors": best}))
    found = {}
    for weights, file in (("last", "model.safetensors"), ("best", "model-best.safetensors")):
        cell = make_cell(STUDENT, weights=weights)
        loaded = load(cell, {"robust": teacher}, dataset, CPU)["robust"]
        assert loaded.checksum == sha256(teacher / file)
        assert not loaded.network.training and not any(p.requires_grad for p in loaded.network.parameters())
        found[weights] = loaded.network.head.weight
    assert not torch.equal(found["last"], found["best"])


def test_the_record_holds_the_teacher_s_sum(
    make_cell: MakeCell, train: Callable[..., Path], teachers: Teachers, tmp_path: Path
) -> None:
    cell = make_cell(STUDENT, epochs=1)
    out = train(cell, tmp_path / "student")
    record = json.loads((out / "record.json").read_text())
    run = teachers(cell)["robust"]
    assert record["teachers"] == {"robust": sha256(run / "model.safetensors")}
    assert recorded(out) == cell
    alone = train(make_cell(epochs=1), tmp_path / "alone")
    assert FinishedRun.open(alone).record.teachers == {}


@pytest.mark.parametrize("changed", [True, False], ids=["retrained", "the same"])
def test_a_student_starts_anew_where_its_teacher_has_other_weights(
    changed: bool,
    make_cell: MakeCell,
    dataset: Dataset,
    teacher: Path,
    tmp_path: Path,
    digests: Callable[[Path], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell = make_cell(STUDENT)

    def student(out: Path) -> Path:
        options: dict[str, Any] = {"code": "0" * 16, "device": CPU, "threads": 1, "workers": 0}
        fit(cell=cell, dataset=dataset, out=out, teachers={"robust": teacher}, **options)
        return out

    save, saved = checkpoint.save, []

    def saving(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        saved.append(path)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", saving)
    with pytest.raises(KeyboardInterrupt):
        student(tmp_path / "student")
    monkeypatch.undo()
    if changed:
        taught = recorded(teacher)
        slower = taught.recipe.model_copy(update={"learning_rate": taught.recipe.learning_rate / 2})
        other = taught.model_copy(update={"recipe": slower})
        fit(cell=other, dataset=dataset, out=tmp_path / "other", code="0" * 16, device=CPU, threads=1, workers=0)
        for name in ("model.safetensors", "model-best.safetensors", "record.json"):
            shutil.copy(tmp_path / "other" / name, teacher / name)
    capsys.readouterr()
    student(tmp_path / "student")
    said = capsys.readouterr().err
    assert ("resuming after epoch 2 of 4" in said) != changed
    assert ("teacher robust" in said) == changed
    # The state of the old teacher's student is kept aside.
    (tmp_path / "student" / "state.pt.stale").unlink(missing_ok=not changed)
    assert digests(tmp_path / "student") == digests(student(tmp_path / "undisturbed"))


def test_what_a_student_learns_beside_its_network_is_trained(
    make_cell: MakeCell, dataset: Dataset, teachers: Teachers
) -> None:
    """MixACM's maps from the student's channels to those of a wider teacher."""
    cell = make_cell(STUDENT)
    taught = {role: one.network for role, one in load(cell, teachers(cell), dataset, CPU).items()}
    training = Training(cell, dataset, device=CPU, workers=0, teachers=taught)
    maps = list(training.method.parameters())
    before = [one.detach().clone() for one in maps]
    training.epoch(0)
    assert len(maps) == 3 and not any(torch.equal(*pair) for pair in zip(before, maps, strict=True))


def test_the_code_fingerprint_covers_the_teacher_s_network(make_cell: MakeCell) -> None:
    cell = make_cell(STUDENT)
    wide = ArchitectureCell(name="wide", parameters=WideResNetParameters(depth=10, widen=1))
    taught = {role: teacher.model_copy(update={"architecture": wide}) for role, teacher in cell.teachers.items()}
    implementation = ARCHITECTURES["wide_resnet"].implementation
    assert implementation in uses(cell.model_copy(update={"teachers": taught}))
    assert implementation not in uses(cell)
