"""What rules compute from their wildcards."""

import json
from pathlib import Path

import pytest
import yaml

from ews.core.errors import EwsError
from ews.corruptions import BENCHMARK
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cell import Cell
from ews.pipeline.workflow import data, run_rules, studies
from ews.pipeline.workflow.workflow_plan import Plan

ROOT = Path(__file__).parents[3]
RUN = "digits/resnet8_thin/standard/ews/seed0"
PUBLISHED = "evaluation--corrupted.source-official"


@pytest.fixture(scope="module")
def plan() -> Plan:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return Plan.of(raw, sources=ROOT / "data/sources.yaml")


def test_a_run_that_no_study_plans_is_named(plan: Plan) -> None:
    with pytest.raises(EwsError, match=r"results/runs/digits/none: no study in params\.yaml plans this run"):
        run_rules.cell(plan, "digits/none")
    with pytest.raises(EwsError, match=r"no study in params\.yaml plans this evaluation"):
        run_rules.asked(plan, RUN, "/evaluation--test_images-3", "clean")


def test_a_cell_goes_whole_through_the_shell(plan: Plan) -> None:
    assert Cell.model_validate_json(run_rules.cell(plan, RUN)) == plan.cells[RUN]
    assert run_rules.data(plan, RUN) == "data/digits/dataset.json"


def test_an_evaluation_is_asked_for_what_decides_its_result_and_nothing_else(plan: Plan) -> None:
    """Threads, processes and devices would rerun it (docs/slurm.md); only stored images are inputs, and named."""
    for results, entry in plan.evaluations.items():
        where = results.removeprefix(entry.run)
        for asked in entry.asked:
            words = run_rules.asked(plan, entry.run, where, asked.kind).split()
            named = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
            assert named <= {*EVALUATIONS[asked.kind].options.model_fields, "corrupted"}
            stored = run_rules.corrupted(plan, entry.run, where, asked.kind)
            assert ("corrupted" in named) == bool(stored)
            if stored:
                folder = words[words.index("--corrupted") + 1]
                assert {Path(file).parent.as_posix() for file in stored} == {folder}


def test_the_parameters_of_a_training_name_no_thread_process_or_device(plan: Plan) -> None:
    keys = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            keys.update(value)
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    for cell in plan.cells.values():
        walk(json.loads(cell.model_dump_json()))
    assert {"learning_rate", "seed", "teachers"} <= keys
    assert not {"threads", "workers", "device", "data", "out", "mirror"} & keys


def test_published_and_generated_images_lie_apart(plan: Plan) -> None:
    both = {data.corrupted_folder(entry) for entry in plan.evaluations.values() if entry.cell.dataset == "cifar10"}
    assert both == {"cifar10-c", "cifar10-c-official"}
    assert "fog" in data.shown(plan, "cifar10", "-official")
    with pytest.raises(EwsError, match="results/digits-c-official: no study"):
        data.shown(plan, "digits", "-official")


def test_an_address_is_no_property_of_the_images(plan: Plan) -> None:
    source = plan.sources["cifar10"]
    moved = {**plan.sources, "cifar10": source.model_copy(update={"url": ["https://elsewhere.example/x"]})}
    other = {**plan.sources, "cifar10": source.model_copy(update={"size": 1})}

    def content(sources: dict[str, object]) -> str:
        changed = Plan(plan.params, sources, plan.studies, plan.evaluations, plan.cells)  # type: ignore[arg-type]
        return data.content(changed, "cifar10")

    assert content(moved) == data.content(plan, "cifar10") != content(other)


def test_what_one_study_adds_to_the_corruptions_is_stored_for_it_alone(plan: Plan) -> None:
    own, others = (
        data.corrupted_sets(plan, [study]) for study in ("comparison_corruption_own", "comparison_corruption")
    )
    assert {"data/cifar10-c/saturate.npy", "data/cifar10-c/saturate.json"} <= set(own) - set(others)
    assert set(others) < set(own)
    assert data.shown(plan, "cifar10", "") == sorted(BENCHMARK)


def test_only_makers_of_many_images_take_all_cores(plan: Plan) -> None:
    assert not run_rules.makes_images(plan, RUN, "", "clean")
    assert not run_rules.makes_images(plan, RUN, "", "corruption")  # stored
    assert {run_rules.minutes(plan, kind) for kind in run_rules.KINDS} == {60, 240, 1440}


def test_a_study_collects_each_file_once(plan: Plan) -> None:
    files = studies.evaluations(plan, ["quickstart"])
    assert len(files) == len(set(files)) == 9 * 2 * 2
    assert studies.evaluations(plan, ["quickstart", "quickstart"]) == files
    assert len(studies.records(plan, ["quickstart"])) == 9
    assert studies.study_teachers(plan, "quickstart") == []
