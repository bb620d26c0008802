"""The list of tasks is the study's plan: same runs, same commands as the rules', teachers first."""

from pathlib import Path

import pytest

from ews.core.errors import EwsError
from ews.pipeline.remote.remote_command import plan as write_plan
from ews.pipeline.remote.remote_tasks import tasks as planned
from ews.pipeline.remote.tasks import Task
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import plan, trainings
from ews.pipeline.study.params import load
from ews.pipeline.study.schema import Params

ROOT = Path(__file__).parents[3]


def tasks(params: Params, study: str) -> tuple[Task, ...]:
    return planned(params, study).tasks


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml")


def test_every_training_once_and_teachers_first(params: Params) -> None:
    found = tasks(params, "comparison_adversarial")
    cells = trainings(plan(params, "comparison_adversarial"))
    trained = [task.name.removeprefix("train ") for task in found if task.name.startswith("train ")]
    assert sorted(trained) == sorted(cells) and len(set(trained)) == len(trained)
    names = [task.name for task in found]
    for place, task in enumerate(found):
        assert all(names.index(name) < place for name in task.after)
    (student,) = [t for t in found if t.name.startswith("train") and "/mixacm" in t.name and "seed0" in t.name]
    assert student.after and any(word.startswith("robust={runs}/cifar10/") for word in student.command)
    cell = Cell.model_validate_json(student.command[student.command.index("--cell") + 1])
    assert cell == cells[student.name.removeprefix("train ")]
    adaptive = [name for name in names if name.startswith("adaptive ")]
    assert len(adaptive) == 3 and all("/awnet" in name for name in adaptive)


def test_settings_of_evaluations_have_folders_of_their_own(params: Params) -> None:
    found = {task.name: task for task in tasks(params, "comparison_corruption_small")}
    (name,) = [n for n in found if n.startswith("corruption ") and "/standard/vanilla" in n and "seed0" in n]
    results = name.removeprefix("corruption ")
    assert results.endswith("evaluation--test_images-1000")
    assert found[name].makes == tuple(f"{results}/corruption.{suffix}" for suffix in ("json", "npz"))
    assert found[name].after == (f"train {results.rpartition('/')[0]}",)
    words = found[name].command
    assert words[words.index("--test-images") + 1] == "1000" and "--corrupted" not in words


def test_published_sets_stay_at_home(params: Params) -> None:
    kinds = {task.name.split()[0] for task in tasks(params, "table1_official")}
    assert kinds == {"train", "clean"}
    assert {task.name.split()[0] for task in tasks(params, "table1")} == {"train", "clean", "corruption"}


def test_an_unknown_study_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(EwsError, match="nonsense"):
        write_plan(["nonsense", "--out", str(tmp_path / "plan.json")])
    assert not list(tmp_path.iterdir())
