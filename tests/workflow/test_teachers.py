"""A teacher is a real dependency: trained first though no study lists it, again when it changed, never measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.workflow import Project, copy, duplicate, jobs, make_runs, tiny

from ews.core.errors import EwsError
from ews.pipeline.remote.adopt.adopt_command import main

RUNS = Path("results/runs/digits/tiny/standard")
TEACHER, STUDENT = RUNS / "at/seed0", RUNS / "mixacm/seed0"


def taught(content: dict[str, Any]) -> None:
    """Make params.yaml plan one student, whose teacher no study lists; each trains in a second."""
    tiny(content)
    content["recipes"]["digits"]["adversarial"] |= {"epochs": 2, "batch_size": 32, "train_images": 96}
    attack = {"validation_steps": 1, "validation_step_size": 0.1, "validation_images": 20}
    content["methods"]["at"] |= {"steps": 1, "step_size": 0.1, **attack}
    content["methods"]["mixacm"] |= attack
    content["studies"]["tiny"] |= {"method": ["mixacm"], "evaluations": ["clean"]}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the student is trained and measured; not to be changed."""
    project = copy(tmp_path_factory.mktemp("learned"))
    project.params(taught)
    project.snakemake()
    return project.folder


@pytest.fixture
def student(learned: Path, tmp_path: Path) -> Project:
    """A copy of that, to edit."""
    return duplicate(learned, tmp_path / "copy")


def order(output: str) -> list[str]:
    """The runs that are trained, in the order in which a dry run names them."""
    return re.findall(
        r"^rule train_\w+:\n(?:    .*\n)*?    output: results/runs/(\S*?)/model\.safetensors", output, re.M
    )


def test_a_teacher_that_no_study_lists_is_trained_first_and_not_measured(project: Project) -> None:
    project.params(taught)
    output = project.snakemake("-n").stdout
    planned = jobs(output)
    assert planned["train_cell"] == 2 and planned["evaluate_cell"] == 1
    assert order(output) == ["digits/tiny/standard/at/seed0", "digits/tiny/standard/mixacm/seed0"]
    # In no set order.
    updated = [set(names.split(", ")) for names in re.findall(r"Input files updated by another job: ([^;\n]*)", output)]
    assert {"data/digits/dataset.json", f"{TEACHER}/record.json"} in updated


def test_the_teacher_may_be_asked_for_by_its_own_file(project: Project) -> None:
    project.params(taught)
    assert jobs(project.snakemake("-n", f"{TEACHER}/record.json").stdout)["train_cell"] == 1
    done = project.snakemake("-n", f"{TEACHER}/clean.json", check=False)
    assert done.returncode != 0 and "no study in params.yaml plans this evaluation" in done.stdout


def test_a_listed_teacher_is_trained_once_and_measured(project: Project) -> None:
    project.params(taught)
    project.params(lambda content: content["studies"]["tiny"].update(method=["at", "mixacm"]))
    planned = jobs(project.snakemake("-n").stdout)
    assert planned["train_cell"] == planned["evaluate_cell"] == 2


def test_each_seed_has_a_teacher_of_its_own(project: Project) -> None:
    project.params(taught)
    project.params(lambda content: content["studies"]["tiny"].update(seed=[0, 1, 2]))
    assert jobs(project.snakemake("-n", "train").stdout)["train_cell"] == 6
    project.params(lambda content: content["methods"]["mixacm"]["teachers"]["robust"].update(seed=0))
    assert jobs(project.snakemake("-n", "train").stdout)["train_cell"] == 4


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("mixacm", ": methods.mixacm.teachers: mixacm learns from mixacm: no training of this circle"),
        ("att", ": methods.mixacm.teachers.robust.method: unknown method 'att'. Did you mean 'at'?"),
    ],
)
def test_a_teacher_that_cannot_be_ends_in_one_message(project: Project, method: str, message: str) -> None:
    project.params(lambda content: content["methods"]["mixacm"]["teachers"]["robust"].update(method=method))
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    assert re.search(r"error: params\.yaml, line \d+, column \d+" + re.escape(message), done.stdout)
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_student_records_its_teacher(student: Project) -> None:
    assert "Nothing to be done" in student.snakemake("-n").stdout
    record, taught = (json.loads((student.folder / run / "record.json").read_text()) for run in (STUDENT, TEACHER))
    assert record["teachers"] == {"robust": taught["files"]["model-best.safetensors"]}
    assert not (student.folder / TEACHER / "clean.json").exists()
    assert [
        cell["run"] for cell in json.loads((student.folder / "results/tiny/study.json").read_text())["entries"]
    ] == ["digits/tiny/standard/mixacm/seed0"]


@pytest.mark.slow
def test_a_changed_teacher_retrains_the_student(student: Project) -> None:
    student.params(lambda content: content["methods"]["at"].update(epsilon=0.1))
    output = student.snakemake("-n").stdout
    assert order(output) == ["digits/tiny/standard/at/seed0", "digits/tiny/standard/mixacm/seed0"]
    before = (student.folder / STUDENT / "model.safetensors").read_bytes()
    student.snakemake()
    taught = json.loads((student.folder / TEACHER / "record.json").read_text())
    assert taught["cell"]["method"]["components"][0]["parameters"]["epsilon"] == 0.1
    assert (student.folder / STUDENT / "model.safetensors").read_bytes() != before
    record = json.loads((student.folder / STUDENT / "record.json").read_text())
    assert record["teachers"] == {"robust": taught["files"]["model-best.safetensors"]}
    assert "Nothing to be done" in student.snakemake("-n").stdout


@pytest.mark.slow
@pytest.mark.parametrize(("module", "trained"), [("methods/at/at.py", 2), ("methods/channel_maps.py", 1)])
def test_an_edit_retrains_what_depends_on_it(student: Project, module: str, trained: int) -> None:
    assert (student.folder / "src/ews" / module).is_file()
    with (student.folder / "src/ews" / module).open("a", encoding="utf-8") as file:
        file.write("\n\nADDED = 1\n")
    assert jobs(student.snakemake("-n").stdout)["train_cell"] == trained


@pytest.mark.slow
def test_an_edit_of_the_student_leaves_the_teacher_alone(student: Project) -> None:
    student.params(lambda content: content["methods"]["mixacm"].update(mixup=0.5))
    assert order(student.snakemake("-n").stdout) == ["digits/tiny/standard/mixacm/seed0"]


@pytest.mark.slow
def test_another_teacher_gets_a_student_of_its_own(student: Project) -> None:
    path = "methods.mixacm.teachers.robust.method"
    student.params(lambda content: content["studies"]["tiny"].update(overrides={path: ["at", "vanilla"]}))
    assert order(student.snakemake("-n").stdout) == [
        "digits/tiny/standard/vanilla/seed0",
        "digits/tiny/standard/mixacm--mixacm.teachers.robust.method-vanilla/seed0",
    ]


@pytest.mark.slow
def test_a_killed_teacher_goes_on_and_the_student_waits_for_it(student: Project) -> None:
    student.params(lambda content: content["recipes"]["digits"]["adversarial"].update(epochs=30))
    student.kill_amid(TEACHER, "train")
    assert not (student.folder / STUDENT / "state.pt").exists()
    student.snakemake("train")
    taught, record = (json.loads((student.folder / run / "record.json").read_text()) for run in (TEACHER, STUDENT))
    assert (taught["counts"]["starts"], record["counts"]["starts"]) == (2, 1)
    assert record["teachers"] == {"robust": taught["files"]["model-best.safetensors"]}


def test_a_student_is_not_adopted_without_the_teacher_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = copy(tmp_path / "home")
    home.params(taught)
    home.snakemake("data/digits/dataset.json")
    make_runs(home, "tiny")
    (tmp_path / "bundle/results").mkdir(parents=True)
    (home.folder / "results/runs").rename(tmp_path / "bundle/results/runs")
    monkeypatch.chdir(home.folder)
    record = tmp_path / "bundle" / TEACHER / "record.json"
    whole = record.read_text()
    record.write_text(json.dumps(json.loads(whole) | {"code": "0" * 16}))
    with pytest.raises(EwsError, match="2 of 2 runs are not as planned"):
        main([str(tmp_path / "bundle"), "--skip"])
    assert "learned from another network as 'robust'" in capsys.readouterr().out
    assert not (home.folder / STUDENT).exists()
    record.write_text(whole)
    main([str(tmp_path / "bundle")])
    assert "train_cell" not in jobs(home.snakemake("-n").stdout)
