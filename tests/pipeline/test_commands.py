"""One builder of command lines: what it writes is what the commands take, and what rules and other machines fill in."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ews import cli
from ews.core.errors import EwsError
from ews.pipeline import commands
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study.cells import plan
from ews.pipeline.study.params import load

ROOT = Path(__file__).parents[2]
HOW = {"threads": 1}


def test_options_are_spelled_as_on_a_command_line() -> None:
    values = {"test_images": 1000, "names": ("fog", "snow"), "seed": None, "epsilon": 8 / 255}
    words = ["--test-images", "1000", "--names", "fog", "snow", "--epsilon", str(8 / 255)]
    assert commands.options(values) == words
    assert commands.teachers({"robust": "runs/a"}) == ["--teacher", "robust=runs/a"]
    assert commands.quoted(["--file", "my images.npz"]) == "--file 'my images.npz'"


def test_a_rule_of_two_stops_where_the_first_fails_and_has_one_log() -> None:
    link = "ln -sf $(basename {log}).all {log} && "
    assert commands.rule(["a"]) == link + "python -m ews a >> {log} 2>&1"
    assert (
        commands.rule(["a", "{output}"], ["b"]) == link + "(python -m ews a {output} && python -m ews b) >> {log} 2>&1"
    )


def test_train_takes_what_is_built_for_it(tmp_path: Path) -> None:
    words = commands.train(
        cell="{}", data="none", out=str(tmp_path), code="0", teachers=["--teacher", "robust=a"], how=HOW
    )
    with pytest.raises(EwsError, match="--cell"):
        cli.main(words)


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_every_evaluation_takes_what_is_planned_for_it(kind: str, tmp_path: Path) -> None:
    """Down to the run, which is not there."""
    params = load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml")
    entry = plan(params, "quickstart")[0]
    asked = commands.options(dict(entry.options(kind)))
    words = commands.evaluate(
        kind, run=str(tmp_path / "run"), data="none", out=str(tmp_path), code="0", asked=asked, how=HOW
    )
    with pytest.raises(EwsError, match="no finished run here"):
        cli.main(words)


def test_every_rule_s_command_is_a_verb() -> None:
    """The rules write no command line themselves."""
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        assert "python -m" not in text
        assert len(re.findall(r"^ *shell:\n *commands\.rule\(", text, re.M)) == len(
            re.findall(r"^ *shell:", text, re.M)
        )


def test_the_writtenfor_another_machine_work_as_the_documentation_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs/elsewhere.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    # There the package is a folder on the path, and no command `ews` is installed.
    written = [line.removeprefix("python -m ") for line in lines if line.startswith(("ews ", "python -m ews "))]
    words = [shlex.split(command)[1:] for command in written]
    assert [" ".join(one[:2]) for one in words] == [
        *("remote plan", "remote work", "remote work", "remote pack", "remote adopt", "remote adopt", "remote adopt"),
    ]
    for name in ("params.yaml", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    planning, listing, working, packing, bringing, checking, placing = words
    # These run in tests/workflow/test_records.py; here their words are read.
    with pytest.raises(EwsError, match="no finished run of quickstart is here"):
        cli.main([word.replace("STUDY", "quickstart") for word in packing])
    with pytest.raises(EwsError, match="no such file"):
        cli.main([word.replace("STUDY", "quickstart") for word in bringing])
    cli.main(["quickstart" if word == "STUDY" else word for word in planning])
    cli.main(listing)
    tasks = capsys.readouterr().out.splitlines()
    assert len(tasks) == 27
    # As if all were done: nothing is left to do.
    for task in tasks:
        kind, place = task.split()
        folder = tmp_path / "results/runs" / place
        folder.mkdir(parents=True, exist_ok=True)
        for name in ["record.json"] if kind == "train" else [f"{kind}.json", f"{kind}.npz"]:
            (folder / name).touch()
    cli.main(working)
    assert "27 were done before, 0 are now." in capsys.readouterr().out
    shutil.copytree("results/runs", tmp_path / "runs.tar")
    for bringing, outcome in ((checking, "nothing would be placed"), (placing, "nothing was placed")):
        with pytest.raises(EwsError, match=f"9 of 9 runs are not as planned, so {outcome}"):
            cli.main(bringing)


def test_a_log_that_is_deleted_between_two_starts_is_kept(tmp_path: Path) -> None:
    """And the command's exit status is the rule's."""
    log = tmp_path / "one" / "seed0.log"
    log.parent.mkdir()
    status = []
    for word in ("first", "second"):
        text = commands.rule(["x"], log=str(log)).replace("python -m ews x", f"(echo {word}; exit 3)")
        status.append(subprocess.run(["bash", "-c", text]).returncode)
        if word == "first":
            log.unlink()
    assert log.read_text() == "first\nsecond\n" and status == [3, 3]
