"""What is written harms nothing that is read: paths in every relation, and every command of the command line."""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers.commands import Command, Stopped, commands

from ews import cli
from ews.core import command_line
from ews.core.command_line import Caches, Parser, Reads, ReadsText, Writes, check_places
from ews.core.errors import EwsError
from ews.data.sources import SHIPPED

NO_PLACES = {
    *(
        "study",
        "run",
        "digest",
        "dataset",
        "source",
        "fingerprint",
        "page",
        "sha256",
        "name",
        "authors",
        "link",
        "venue",
    ),
    *("reason", "names", "stored", "profile", "format", "evaluation", "config", "match"),
}
"""Options of text that name no file and no folder; an evaluation's own options are none either."""


COMMANDS = commands()
WRITING = [command for command in COMMANDS if command.of(Writes)]


def ids(command: Command) -> str:
    return command.name


@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_every_option_says_whether_it_names_what_is_read_or_written(command: Command) -> None:
    evaluating = command.words[0] == "evaluate"
    for option in command.options:
        if isinstance(option.type, Reads | Writes | Caches) or option.nargs == 0:
            continue
        plain = option.type is not None or option.dest in NO_PLACES or (evaluating and option.default == "==SUPPRESS==")
        assert plain, f"ews {command.name}: {option.dest}: Reads(), Writes(), or no place: then name it in NO_PLACES"


def test_a_path_without_a_purpose_is_refused() -> None:
    with pytest.raises(TypeError, match="read or written"):
        Parser().add_argument("--out", type=Path)


def test_what_writes_is_known() -> None:
    """A command that writes without an option for it stands here."""
    silent = {command.name for command in COMMANDS} - {command.name for command in WRITING}
    assert silent == {"study check", "study list", "study cell", "data extra"}


def line(command: Command, given: dict[str, str], folder: Path) -> list[str]:
    """Return a command line with all required options: places of their own in a folder but for those that are given."""
    words, above = [], []
    for option in command.options:
        if option.dest not in given and not option.required and option.option_strings:
            continue
        value = given.get(option.dest)
        if value is None and isinstance(option.type, Reads | Writes):
            value = str(folder / "elsewhere" / option.dest)
        if value is None:
            value = str(next(iter(option.choices))) if option.choices else {"validation": "0.1"}.get(option.dest, "1")
        if isinstance(option.type, ReadsText):
            value = {"cell": "@{}", "teacher": "role={}"}.get(option.dest, "{}").format(value)
        target = (
            above
            if option.dest in ("params", "configfile") and command.words[0] == "study" and command.name != "study tune"
            else words
        )
        target += [option.option_strings[0], value] if option.option_strings else [value]
    return [command.words[0], *above, *command.words[1:], *words] if above else [*command.words, *words]


def pairs() -> Iterator[tuple[Command, argparse.Action, argparse.Action]]:
    for command in WRITING:
        for out in command.of(Writes):
            for read in command.of(Reads):
                if read.dest not in out.type.beside:  # type: ignore[union-attr]
                    yield command, out, read


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "out", "read"),
    [pytest.param(*pair, id=f"{pair[0].name}-{pair[1].dest}-{pair[2].dest}") for pair in pairs()],
)
def test_no_command_writes_over_what_it_reads(
    tmp_path: Path, command: Command, out: argparse.Action, read: argparse.Action
) -> None:
    """Before it has looked at anything: the same folder, within and around it, by a link and by ``..``."""
    given = tmp_path / "given"
    (given / "inner").mkdir(parents=True)
    (given / "inner" / "file").write_text("content")
    (tmp_path / "link").symlink_to(given)
    before = tree(tmp_path)
    for place in ("given", "link", "given/inner", "link/inner/new", "given/../given", "."):
        words = line(command, {out.dest: str(tmp_path / place), read.dest: str(given)}, tmp_path)
        with pytest.raises(EwsError, match=r"would overwrite|lies inside|holds") as caught:
            cli.main(words)
        assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", WRITING, ids=ids)
def test_other_places_are_taken(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check lets pass what harms nothing."""
    passed = []
    check = command_line.check_options

    def checked(*arguments: object, **more: object) -> None:
        check(*arguments, **more)  # type: ignore[arg-type]
        passed.append(True)
        raise Stopped

    monkeypatch.setattr(command_line, "check_options", checked)
    given = {option.dest: str(tmp_path / option.dest) for option in command.of(Reads, Writes)}
    with pytest.raises(Stopped):
        cli.main(line(command, given, tmp_path))
    assert passed


@pytest.mark.parametrize("words", ["study schema", "study manifest quickstart", "remote plan quickstart"])
def test_the_manifest_of_sources_is_read_though_no_option_names_it(
    tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sources.yaml").write_text("{}")
    (tmp_path / "link").symlink_to("data/sources.yaml")
    for place in ("data/sources.yaml", "link", "data/../data/sources.yaml", str(SHIPPED)):
        with pytest.raises(EwsError, match=r"would overwrite manifest .*sources\.yaml, which is read"):
            cli.main([*words.split(), "--out", place])
    assert tree(tmp_path)["data/sources.yaml"] == b"{}"


def refused(out: Path, *inputs: Path, files: Sequence[str] = ()) -> str:
    try:
        check_places(out, inputs={"--in": inputs}, files=files)
    except EwsError as error:
        return str(error)
    return ""


def test_a_folder_of_named_files_may_hold_others_that_are_read(tmp_path: Path) -> None:
    study = tmp_path / "study.json"
    study.touch()
    (tmp_path / "table.md").touch()
    (tmp_path / "table.tex").symlink_to(study)
    assert not refused(tmp_path, study, files=("table.*",))
    assert "would overwrite" in refused(tmp_path, tmp_path / "table.md", files=("table.*",))
    assert "holds" in refused(tmp_path, study), "unless the folder is the command's own"
    assert "would overwrite" in refused(tmp_path, tmp_path, files=("table.*",))


def test_neighbours_whose_names_begin_alike_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    assert not refused(tmp_path / "run2", tmp_path / "run")
    assert not refused(tmp_path / "run" / ".." / "run-export", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert "would overwrite" in refused(Path("run/../run"), tmp_path / "run")
    assert "lies inside" in refused(Path("run/new/deep"), Path("run"))


def test_a_file_that_is_linked_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.link(tmp_path / "a", tmp_path / "b")
    assert "would overwrite" in refused(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        (ReadsText(), "https://example.org/x.tar", []),
        (ReadsText(), "file:///a%20b/x.tar", [Path("/a b/x.tar")]),
        (ReadsText(), "mirror", [Path("mirror")]),
        (ReadsText("@(.+)"), "@cell.json", [Path("cell.json")]),
        (ReadsText("@(.+)"), '{"a": "b@c"}', []),
        (ReadsText("[^=]+=(.+)"), ["robust=runs/a", "other=runs/b=1"], [Path("runs/a"), Path("runs/b=1")]),
    ],
)
def test_a_place_within_a_text_is_found(kind: ReadsText, text: str | list[str], found: list[Path]) -> None:
    assert kind.places(text) == found


def test_two_outputs_are_not_one(tmp_path: Path) -> None:
    parser = Parser()
    for name in ("--out", "--records"):
        parser.add_argument(name, type=Writes())
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(EwsError, match="is what --out names, too"):
        parser.parse_args(["--out", str(tmp_path / "a"), "--records", str(tmp_path / "link")])
    parser.parse_args(["--out", str(tmp_path / "a"), "--records", str(tmp_path / "b")])


def test_results_lie_beside_their_run_and_nowhere_else(tmp_path: Path) -> None:
    parser = Parser()
    parser.add_argument("--run", type=Reads())
    parser.add_argument("--data", type=Reads())
    parser.add_argument("--out", type=Writes(files=("clean.json",), beside=("run",)))
    for name in ("run", "data"):
        (tmp_path / name).mkdir()
    given = ["--run", str(tmp_path / "run"), "--data", str(tmp_path / "data"), "--out"]
    for place in ("run", "run/evaluation--x"):
        parser.parse_args([*given, str(tmp_path / place)])
    with pytest.raises(EwsError, match=r"--out .*data: would overwrite --data"):
        parser.parse_args([*given, str(tmp_path / "data")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("study chek", "invalid choice: 'chek'"),
        ("study chek", "Did you mean 'check'?"),
        ("report tabel", "Did you mean 'table'?"),
        ("evaluate clen --run x", "Did you mean 'clean'?"),
        ("corrupt npy --names contrst", "Did you mean 'contrast'?"),
        # Not the option that is missing because it is misspelt.
        ("corrupt folder --imags x --out y", "error: unknown option --imags. Did you mean '--images'?"),
        ("evaluate clean --runn=x", "error: unknown option --runn. Did you mean '--run'?"),
        ("train --hlp", "error: unknown option --hlp. Did you mean '--help'?"),
        ("study --parms x list tiny", "error: unknown option --parms. Did you mean '--params'?"),
        ("remote plan --study x", "error: unknown option --study. STUDY is given without a name."),
        (
            "study check --configfile x",
            "arguments: --configfile x; --configfile stands before the subcommand: ews study --configfile ...",
        ),
        ("study tune --zzzz x", "error: unknown option --zzzz.\n"),
        ("corrupt folder --im x", "the following arguments are required: --out, --seed"),
    ],
)
def test_a_slip_of_the_pen_is_named(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words.split())
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and message in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("corupt folder", "unknown command 'corupt folder'. Did you mean 'corrupt folder'?"),
        ("corrupt foldr", "unknown command 'corrupt foldr'. Did you mean 'corrupt folder'?"),
        ("stdy check", "unknown command 'stdy'. Did you mean 'study'?"),
        ("trian --cell x", "unknown command 'trian'. Did you mean 'train'?"),
        ("remte plan tiny", "unknown command 'remte plan'. Did you mean 'remote plan'?"),
    ],
)
def test_a_misspelt_command_is_named(words: str, message: str) -> None:
    with pytest.raises(EwsError, match=re.escape(message)):
        cli.main(words.split())
