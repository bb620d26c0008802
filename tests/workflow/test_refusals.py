"""What is wrong is said in one sentence, without a word of Snakemake's files; secrets are said nowhere."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.workflow import Project, copy, jobs, tiny

from ews.pipeline.workflow.target_hints import TargetHint, hint, install

SECRET = "s3cr3t-word"


def said(output: str) -> list[str]:
    """The lines of Snakemake's output less its header."""
    header = re.compile(r"^(Using |Assuming |SNAKEMAKE|=+$|  [A-Z]|Building DAG|Config file |$)")
    return [line for line in output.splitlines() if not header.match(line)]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that no test changes."""
    return copy(tmp_path_factory.mktemp("shipped"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("data/cifar10-c-official/fgo.npy", "error: data: unknown corruption 'fgo'. Did you mean 'fog'?"),
        ("results/table1/mimicry.svg", "error: results/table1/mimicry.svg: the study does not ask for the evaluation"),
        ("results/table1/tuned.yaml", "error: params.yaml: studies.table1: has no `tune`, so that there is nothing to"),
        (
            "results/runs/digits/a/b/c/seed0/clean.json",
            "error: results/runs/digits/a/b/c/seed0: no study in params.yaml",
        ),
        ("tabel1", "error: unknown target 'tabel1'. Did you mean 'table1'? Valid: all, "),
        ("results/table1/tabel.md", "error: results/table1: unknown file 'tabel.md'. Did you mean 'table.md'?"),
        (
            "data/digits-c/gausian_noise.npy",
            "error: data: unknown corruption 'gausian_noise'. Did you mean ",
        ),
        (
            "data/digits-c-official/fog.npy",
            "error: data/digits-c-official: no source 'digits_c' of published ",
        ),
    ],
)
def test_a_target_that_is_none(shipped: Project, target: str, message: str) -> None:
    done = shipped.snakemake("-n", target, check=False)
    assert done.returncode == 1
    first, *more = said(done.stdout)
    assert first.startswith(message)
    assert not re.search(r"Traceback|\.smk|\.py", "\n".join(more))


def test_a_user_without_a_name_can_start_the_workflow(project: Project, tmp_path: Path) -> None:
    project.params(tiny)
    # As in a container with `--user`: neither the system nor the environment knows what the user is called.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nos.getuid = lambda: 54321\nfor name in ('LOGNAME', 'USER', 'LNAME', 'USERNAME'):\n"
        "    os.environ.pop(name, None)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Project,
            "environment",
            {**project.environment, "PYTHONPATH": f"{tmp_path}:{project.environment['PYTHONPATH']}"},
        )
        done = project.snakemake("-n", "data/digits/dataset.json")
    assert jobs(done.stdout)["dataset"] == 1


def test_a_mistake_in_parameters_is_the_first_thing_said(project: Project) -> None:
    def mistake(content: dict[str, Any]) -> None:
        tiny(content)
        content["mirror"] = f"http://user:{SECRET}@host"
        content["methods"]["ews"]["width"] = 1.7

    project.params(mistake)
    done = project.snakemake(check=False)
    assert done.returncode == 1
    first = r"error: params\.yaml(, line \d+, column \d+)?: methods\.ews\.width = 1\.7"
    assert re.match(first, said(done.stdout)[0])
    assert ".smk" not in done.stdout and SECRET not in done.stdout


NAMES = {
    "targets": ["table1", "data", "quickstart"],
    "studies": ["quickstart"],
    "datasets": ["digits"],
    "files": [
        "data/{dataset,digits|cifar10}/dataset.json",
        "data/{dataset}-c/{corruption}.npy",
        "results/{study}/table.md",
        "results/{study}/{figure}.svg",
        r"results/runs/{run,[^/]+/seed\d+}/record.json",
        r"results/runs/{run,[^/]+/seed\d+}{where,(/evaluation--[^/]+)?}/{kind,clean|filters}.json",
    ],
}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("quickstat", "unknown target 'quickstat'. Did you mean 'quickstart'? Valid: data, quickstart, table1."),
        ("x", "unknown target 'x'. Valid: "),
        ("results/quickstrat/table.md", "results: unknown folder 'quickstrat'. Did you mean 'quickstart'?"),
        ("data/digts/dataset.json", "data: unknown folder 'digts'. Did you mean 'digits'?"),
        (
            "results/quickstart/tabel.md",
            "results/quickstart: unknown file 'tabel.md'. Did you mean 'table.md'?",
        ),
        (
            "results/runs/a/seed0/recrod.json",
            "results/runs/a/seed0: unknown file 'recrod.json'. Did you mean 'record.json'?",
        ),
        (
            "data/digits/datset.json",
            "data/digits: unknown file 'datset.json'. Did you mean 'dataset.json'?",
        ),
        (
            "results/runs/a/seed0/clena.json",
            "results/runs/a/seed0: unknown file 'clena.json'. Did you mean ",
        ),
        ("results/quickstart/table.md", ""),
        ("results/nosuch", ""),
        ("data/digits-c/fgo.png", ""),
        ("elsewhere/x", ""),
    ],
)
def test_what_is_said_of_a_target(target: str, words: str) -> None:
    found = hint(target, **NAMES)
    assert found.startswith(words) and bool(found) == bool(words)


def test_other_messages_of_snakemake_stay_as_they_are() -> None:
    logger = logging.Logger("made-up")
    install(logger, lambda target: "first")
    install(logger, lambda target: f"hint of {target}")
    assert len(logger.filters) == 1 and isinstance(logger.filters[0], TargetHint)
    message = "MissingRuleException:\nNo rule to produce tabel1 (if you use input functions ...)."

    def filtered(text: str, **more: object) -> str:
        record = logging.LogRecord("made-up", logging.ERROR, "", 0, text, None, None)
        record.__dict__.update(more)
        assert logger.filter(record)
        return record.getMessage()

    assert filtered(message, exception="MissingRuleException") == f"error: hint of tabel1\n{message}"
    assert filtered(message) == message
    assert filtered("100 % of x", exception="WorkflowError") == "100 % of x"
    assert filtered("Other words", exception="MissingRuleException") == "Other words"


@pytest.mark.slow
@pytest.mark.parametrize("by", ["environment", "params"])
def test_no_output_has_the_password_of_a_mirror(project: Project, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = f"http://user:{SECRET}@127.0.0.1:9/folder"

    def plan(content: dict[str, Any]) -> None:
        tiny(content)
        content["recipes"]["cifar10_jpeg"]["standard"]["train_images"] = 64
        content["studies"]["tiny"] |= {"dataset": "cifar10_jpeg", "method": "vanilla", "evaluations": ["clean"]}
        content["mirror"] = mirror if by == "params" else None

    project.params(plan)
    if by == "environment":
        monkeypatch.setenv("EWS_MIRROR", mirror)
    # As a server that is not there would be asked for minutes.
    project.edit("src/ews/data/transfer.py", "attempts: int = 5", "attempts: int = 1")
    outputs = [project.snakemake("-n", "-p", "tiny").stdout]
    done = project.snakemake("-p", "--verbose", "--show-failed-logs", "tiny", check=False)
    assert done.returncode != 0
    outputs.append(done.stdout)
    (log,) = project.folder.glob("logs/data/*.log")
    assert "http://***@127.0.0.1:9" in log.read_text()
    for path in project.folder.rglob("*"):
        if path.is_file() and path.name != "params.yaml":
            assert SECRET.encode() not in path.read_bytes(), path
    assert not [line for text in outputs for line in text.splitlines() if SECRET in line]
