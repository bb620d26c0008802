"""Finished work is found whole or not at all, at whatever moment it was killed, and costs no room."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ews.core import finished
from ews.core.documents import write_sealed
from ews.core.files import sha256

IDENTITY = {"code": "a", "settings": {"sizes": (1, 2)}}
CONTENT = {"data.bin": "data", "extra.txt": "extra", "result.json": "result"}


class Killed(BaseException):
    """Stands for the end of the process."""


def work(out: Path, *, keep: bool, identity: dict[str, Any] = IDENTITY) -> None:
    with finished.finishing(out, identity, keep=keep) as folder:
        for name, text in CONTENT.items():
            (folder / name).write_text(text)


def there(out: Path) -> dict[str, str]:
    """What lies beside the output, hidden names left out."""
    return {path.name: path.read_text() for path in out.parent.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "result.json"


@pytest.mark.parametrize("keep", [True, False])
def test_finished_work_is_in_its_place_and_found_there(out: Path, keep: bool) -> None:
    work(out, keep=keep)
    assert there(out) == CONTENT
    found = finished.find(out, IDENTITY)
    assert found is not None and found.missing == ()
    assert finished.find(out, {**IDENTITY, "code": "b"}) is None


def test_what_is_kept_takes_no_room_and_outlives_the_outputs(out: Path) -> None:
    work(out, keep=True)
    assert {path.stat().st_nlink for path in out.parent.glob("*.*") if not path.name.startswith(".")} == {2}
    for name in CONTENT:
        out.with_name(name).unlink()
    found = finished.find(out, IDENTITY)
    assert found is not None and found.missing == ("data.bin", "extra.txt", "result.json")
    found.place(keep=True)
    assert there(out) == CONTENT
    finished.let_go(out)
    assert out.stat().st_nlink == 1
    found = finished.find(out, IDENTITY)
    assert found is not None and found.missing == ()
    out.with_name("data.bin").unlink()
    assert finished.find(out, IDENTITY) is None


def test_where_there_are_no_hard_links_files_are_copied(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    work(out, keep=True)
    out.unlink()
    found = finished.find(out, IDENTITY)
    assert found is not None
    found.place(keep=True)
    assert there(out) == CONTENT and out.stat().st_nlink == 1


def test_a_damaged_file_is_replaced_by_the_kept_one_and_never_kept(out: Path) -> None:
    work(out, keep=True)
    data = out.with_name("data.bin")
    data.unlink()
    data.write_text("other")
    found = finished.find(out, IDENTITY)
    assert found is not None and found.missing == ("data.bin",)
    found.place(keep=True)
    assert there(out) == CONTENT
    data.write_text("other")  # by both of its names
    assert finished.find(out, IDENTITY) is None


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("again", [True, False], ids=["after other work", "for the first time"])
def test_killed_at_any_moment_it_is_finished_or_not_begun(
    out: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, again: bool
) -> None:
    """Before each renaming and each link in turn."""
    replace, link = Path.replace, os.link
    outcomes = []
    for moment in range(100):
        finished.forget(out)
        for name in CONTENT:
            out.with_name(name).unlink(missing_ok=True)
        if again:
            work(out, keep=keep, identity={"code": "before"})
        steps = 0

        def step(moment: int = moment) -> None:
            nonlocal steps
            if steps == moment:
                raise Killed
            steps += 1

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda one, other, step=step: (step(), replace(one, other))[1])
            patch.setattr(os, "link", lambda one, other, step=step: (step(), link(one, other))[1])
            try:
                work(out, keep=keep)
            except Killed:
                pass
            else:
                break
        found = finished.find(out, IDENTITY)
        outcomes.append(found is not None)
        if found is None:
            assert not again or finished.find(out, {"code": "before"}) is None
            work(out, keep=keep)
        else:
            found.place(keep=keep)
        assert there(out) == CONTENT
    assert outcomes == sorted(outcomes) and set(outcomes) == {False, True}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"identity": IDENTITY, "files": {"../x": "1", "result.json": "1"}}',
        '{"identity": IDENTITY, "files": {}}',
    ],
)
def test_a_damaged_list_is_no_list(out: Path, content: str) -> None:
    work(out, keep=True)
    path = finished.folder_of(out) / finished.LIST
    content = content.replace("IDENTITY", json.dumps(IDENTITY))
    path.write_text(content)
    if "identity" in content:
        write_sealed(path, json.loads(content))
    assert finished.find(out, IDENTITY) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["files"].pop("extra.txt"),
        lambda content: content.pop("checksum"),
        lambda content: content.update(checksum="0" * 64),
    ],
)
def test_a_list_that_was_changed_is_no_list(out: Path, change: Callable[[dict[str, Any]], object]) -> None:
    work(out, keep=True)
    path = finished.folder_of(out) / finished.LIST
    assert finished.find(out, IDENTITY) is not None
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    assert finished.find(out, IDENTITY) is None


def test_the_list_names_what_it_vouches_for(out: Path) -> None:
    work(out, keep=False)
    content = json.loads((finished.folder_of(out) / finished.LIST).read_text())
    assert content["files"] == {name: sha256(out.with_name(name)) for name in CONTENT}


def test_what_may_not_be_removed_stays(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    work(out, keep=True)
    monkeypatch.setattr(Path, "unlink", refuse)
    finished.let_go(out)
    monkeypatch.undo()
    assert finished.kept(out, out.name).is_file()
    finished.let_go(out.with_name("never finished.json"))
