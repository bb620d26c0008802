"""DVC over the workflow: it runs what is needed, notices what changed, and gives it all back in another clone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.workflow import ROOT, Project, jobs, tiny

from ews.pipeline.study.params import load
from ews.pipeline.study.schema import OFFICIAL

pytestmark = pytest.mark.slow


class Clone(Project):
    """A clone under Git and DVC."""

    def run(self, *command: str) -> str:
        """Run a command, with this Python's programs first; return what it printed."""
        # Git asks who commits.
        who = {f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **who},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        """Run dvc."""
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def git(self, *arguments: str) -> str:
        """Run git."""
        return self.run("git", *arguments)

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "test")


def trained(output: str) -> list[str]:
    """Return the runs that a log says were trained."""
    return re.findall(r"rule train_cell:\n(?:.*\n)*?\s+wildcards: run=(\S+)", output)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository of the files that Git tracks or would, with a tiny quickstart, run by `dvc repro` and committed."""
    folder = tmp_path_factory.mktemp("dvc") / "original"
    folder.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    clone = Clone(folder)
    for name in sorted(part for part in listed.split("\0") if part and (ROOT / part).exists()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-P", ROOT / name, folder / name], check=True)

    def change(content: dict) -> None:  # type: ignore[type-arg]
        tiny(content)
        content["studies"]["quickstart"] = content["studies"].pop("tiny")
        content["reproduce"] = ["quickstart"]

    clone.params(change)
    (folder / "dvc.lock").unlink(missing_ok=True)
    clone.git("init", "--quiet", "--initial-branch", "main")
    clone.commit()
    output = clone.dvc("repro")
    assert len(trained(output)) == 3
    # Beside DVC's own file, the main command changes the tables and figures of its study only.
    changed = {line[3:] for line in clone.git("status", "--porcelain").splitlines()}
    # The sheet of digits may differ by Pillow's version.
    ours = ("results/quickstart/", "results/digits-c/")
    assert all(name == "dvc.lock" or name.startswith(ours) for name in changed), changed
    clone.commit()
    clone.dvc("remote", "add", "--default", "--quiet", "local", str(folder.parent / "remote"))
    clone.dvc("push", "--quiet")
    clone.commit()
    return clone


@pytest.fixture
def elsewhere(original: Clone, tmp_path: Path) -> Clone:
    """A fresh clone at another path, with everything pulled."""
    folder = tmp_path / "deeper" / "clone"
    folder.parent.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(original.folder), str(folder)], check=True)
    clone = Clone(folder)
    clone.dvc("pull", "--quiet")
    return clone


def test_a_second_repro_does_nothing(original: Clone) -> None:
    output = original.dvc("repro")
    assert "up to date" in output
    assert "Running stage" not in output


def test_a_pulled_clone_is_up_to_date_and_an_edited_cell_reruns_alone(elsewhere: Clone) -> None:
    sizes = [path.stat().st_size for path in (elsewhere.folder / "data").rglob("*.npy")]
    assert max(sizes) > 2**20
    assert "up to date" in elsewhere.dvc("status")
    assert "Nothing to be done" in elsewhere.snakemake("-n").stdout
    elsewhere.params(lambda content: content["methods"]["dropout"].update(rate=0.5))
    assert jobs(elsewhere.snakemake("-n").stdout)["train_cell"] == 1
    assert "methods.dropout.rate" in elsewhere.dvc("params", "diff")
    assert trained(elsewhere.dvc("repro")) == ["digits/tiny/standard/dropout/seed0"]
    assert "digits/tiny/standard/dropout" in elsewhere.dvc("metrics", "diff")
    assert "digits/tiny/standard/ews" in elsewhere.dvc("metrics", "show")
    elsewhere.dvc("plots", "show")
    assert "training.svg" in (elsewhere.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")


def test_stale_results_are_not_locked_as_fresh(elsewhere: Clone) -> None:
    """DVC sees any edit of the package and runs the stages; the workflow decides what is really to be done."""
    with (elsewhere.folder / "src/ews/methods/dropout/dropout.py").open("a", encoding="utf-8") as file:
        file.write("\n# A comment.\n")
    output = elsewhere.dvc("repro")
    assert "Running stage 'train'" in output
    assert trained(output) == []
    record = elsewhere.folder / "results/runs/digits/tiny/standard/dropout/seed0/record.json"
    before = record.read_text(encoding="utf-8")
    with (elsewhere.folder / "src/ews/methods/dropout/dropout.py").open("a", encoding="utf-8") as file:
        file.write("\nADDED = 1\n")
    assert trained(elsewhere.dvc("repro")) == ["digits/tiny/standard/dropout/seed0"]
    assert record.read_text(encoding="utf-8") != before


def test_an_experiment_on_another_study(elsewhere: Clone) -> None:
    study = {"dataset": "digits", "architecture": "tiny", "method": "vanilla", "seed": 5, "evaluations": ["clean"]}
    elsewhere.params(lambda content: content["studies"].update(other=study))
    elsewhere.commit()
    # DVC writes the number as 1e-05.
    output = elsewhere.dvc("exp", "run", "-S", "reproduce=[other]", "-S", "methods.ews.learning_rate=1e-5")
    assert trained(output) == ["digits/tiny/standard/vanilla/seed5"]
    assert (elsewhere.folder / "results/other/table.md").exists()
    written = load(elsewhere.folder / "params.yaml", sources=ROOT / "data/sources.yaml")
    assert written.methods.of("ews").learning_rate == 1e-5  # type: ignore[attr-defined]


def test_a_value_that_dvc_writes_changes_no_other(tmp_path: Path) -> None:
    """As docs/dvc.md says: the layout is DVC's, few comments are lost, and every other value is as it was."""
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    before = path.read_text(encoding="utf-8")
    apply_overrides(path, ["reproduce=[cifar10_small]"])
    after = path.read_text(encoding="utf-8")
    assert yaml.safe_load(after) == yaml.safe_load(before) | {"reproduce": ["cifar10_small"]}
    comments = [sum(line.lstrip().startswith("#") for line in text.splitlines()) for text in (before, after)]
    said = re.search(r"\((\d+) lines of comments", (ROOT / "docs/dvc.md").read_text(encoding="utf-8"))
    assert said and int(said[1]) == comments[0] - comments[1]


def test_every_dataset_and_committed_study_is_declared() -> None:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    stages = content["stages"]
    outs = {name: {key for out in stage["outs"] for key in out} for name, stage in stages.items()}
    datasets = load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml").datasets
    assert outs["data"] == {f"data/{name}" for name in datasets}
    published = {name for name, dataset in datasets.items() if dataset.source in OFFICIAL}
    folders = {f"data/{name}-c" for name in datasets} | {f"data/{name}-c-official" for name in published}
    sheets = {str(path.relative_to(ROOT)) for path in (ROOT / "results").glob("*/contact-sheet.png")}
    for sheet in sheets:
        assert sheet in outs["corruptions"], f"add {sheet}, cache: false, to the stage corruptions of dvc.yaml"
    assert outs["corruptions"] == folders | sheets
    assert all(out[key]["cache"] is False for out in stages["corruptions"]["outs"] for key in out if key in sheets)
    committed = {path.parent.name for path in (ROOT / "results").glob("*/table.md")}
    for study in committed:
        assert f"results/{study}" in outs["figures"], f"add results/{study}, cache: false, to dvc.yaml's stage figures"
        assert f"results/{study}/metrics.json" in content["metrics"], f"add results/{study}/metrics.json to dvc.yaml"
    # DVC refuses a stage whose output is not there, and only studies to reproduce are made.
    assert outs["figures"] == {f"results/{study}" for study in committed} | {".snakemake/metadata"}
    kept = [out for out in stages["figures"]["outs"] if any(key.startswith("results/") for key in out)]
    assert all(value["cache"] is False for out in kept for value in out.values())
    assert all(out[key]["persist"] for stage in stages.values() for out in stage["outs"] for key in out)
    assert os.path.isfile(ROOT / ".dvc/config")
