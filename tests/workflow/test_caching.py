"""Editing runs again what depends on the edit, and nothing else - with the real workflow, on a tiny study."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workflow import Project, evaluations, jobs

pytestmark = pytest.mark.slow
RUNS = Path("results/runs/digits/tiny/standard")


def test_everything_is_where_it_belongs(built: Path) -> None:
    run = built / RUNS / "ews" / "seed0"
    files = {path.name for path in run.iterdir()}
    assert {"model.safetensors", "model-best.safetensors", "record.json", "epochs.csv", "timing.csv"} <= files
    assert {"controller.csv", "kept.csv", "clean.json", "clean.npz", "corruption.json", "corruption.npz"} <= files
    assert "state.pt" not in files
    assert not (built / RUNS / "vanilla" / "seed0" / "controller.csv").exists()
    study = {path.name for path in (built / "results/tiny").iterdir()}
    assert {"table.csv", "table.md", "table.tex", "table.html", "measurements.csv", "records.json"} <= study
    assert {path.suffix for path in (built / "results/tiny").iterdir()} >= {".svg"}


def test_a_copy_at_another_path_with_other_dates_is_up_to_date(finished: Project) -> None:
    for path in sorted(finished.folder.rglob("*.npy")):
        path.touch()
    assert "Nothing to be done" in finished.snakemake("-n").stdout


def test_one_edited_cell_reruns_alone(finished: Project) -> None:
    finished.params(lambda content: content["methods"]["dropout"].update(rate=0.5))
    output = finished.snakemake("-n").stdout
    planned = jobs(output)
    assert planned["train_cell"] == 1
    assert evaluations(output) == {"clean": 1, "corruption": 1}
    assert "dataset" not in planned and "corruption" not in planned
    finished.snakemake()
    record = json.loads((finished.folder / RUNS / "dropout/seed0/record.json").read_text())
    assert record["cell"]["method"]["components"][0]["parameters"]["rate"] == 0.5
    assert "Nothing to be done" in finished.snakemake("-n").stdout


def test_an_added_method_or_seed_reruns_nothing_that_was_there(finished: Project) -> None:
    finished.params(lambda content: content["studies"]["tiny"].update(seed=[0, 1]))
    assert jobs(finished.snakemake("-n").stdout)["train_cell"] == 3


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("methods/dropout/dropout.py", {"train_cell": 1}),
        ("subnets/controller.py", {"train_cell": 1}),
        ("pipeline/train/optim.py", {"train_cell": 3}),
        ("corruptions/digital.py", {"corruption": 1, "evaluate corruption": 3}),
        ("pipeline/evaluate/clean/clean.py", {"evaluate clean": 3}),
        ("augment/augmix/augmix.py", {}),
        ("data/download.py", {}),
    ],
)
def test_an_edit_of_behaviour_reruns_what_uses_it(finished: Project, module: str, expected: dict[str, int]) -> None:
    assert (finished.folder / "src/ews" / module).is_file()
    with (finished.folder / "src/ews" / module).open("a", encoding="utf-8") as file:
        file.write("\n\nADDED = 1\n")
    output = finished.snakemake("-n").stdout
    found = {rule: count for rule, count in jobs(output).items() if rule in ("dataset", "corruption", "train_cell")}
    if "train_cell" not in expected:
        found |= {f"evaluate {kind}": count for kind, count in evaluations(output).items()}
    assert found == expected


def test_an_edit_of_comments_docstrings_and_format_reruns_nothing(finished: Project) -> None:
    for path in sorted((finished.folder / "src/ews").rglob("*.py")):
        text = path.read_text(encoding="utf-8").replace('"""', '"""Reworded. ', 1)
        path.write_text(f"# A comment.\n{text}\n\n# Another.\n", encoding="utf-8")
    assert "Nothing to be done" in finished.snakemake("-n").stdout


def test_the_report_has_every_table_and_figure(finished: Project) -> None:
    finished.snakemake("--report", "report.html")
    text = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert all(name in text for name in ("table.html", "training.svg", "controller.svg", "kept.svg"))


def test_code_that_changed_after_planning_is_refused(finished: Project) -> None:
    """The job of an old plan must not write results under the fingerprint of new code."""
    cell = json.loads((finished.folder / RUNS / "vanilla/seed0/record.json").read_text())["cell"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ews", "train", "--cell", json.dumps(cell), "--data", "data/digits"),
            *("--out", "results/elsewhere", "--threads", "1", "--fingerprint", "0123456789abcdef"),
        ],
        cwd=finished.folder,
        env=finished.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "0123456789abcdef" in done.stderr


def test_a_killed_workflow_goes_on_where_it_stopped(finished: Project) -> None:
    """SIGKILL to Snakemake and all its jobs amid a training run; the next run resumes it from its checkpoint."""
    finished.params(lambda content: content["recipes"]["digits"]["standard"].update(epochs=40))
    finished.params(lambda content: content["studies"]["tiny"].update(method=["ews"]))
    finished.kill_amid(RUNS / "ews/seed0", "train")
    finished.snakemake("train")
    record = json.loads((finished.folder / RUNS / "ews/seed0/record.json").read_text())
    assert record["counts"]["starts"] == 2
    assert not (finished.folder / RUNS / "ews/seed0/state.pt").exists()


def test_accepted_runs_are_neither_trained_nor_measured_again(finished: Project) -> None:
    with (finished.folder / "src/ews/pipeline/train/optim.py").open("a", encoding="utf-8") as file:
        file.write("\n\nADDED = 1\n")
    assert jobs(finished.snakemake("-n").stdout)["train_cell"] == 3
    command = [sys.executable, "-m", "ews", "accept", "tiny", "--reason", "A constant that nothing reads."]
    done = subprocess.run(command, cwd=finished.folder, env=finished.environment, capture_output=True, text=True)
    assert done.returncode == 0 and "3 runs accepted." in done.stdout, done.stderr
    output = finished.snakemake("-n").stdout
    assert "train_cell" not in jobs(output) and evaluations(output) == {}
