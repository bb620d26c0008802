"""A training state is written whole, and refused when it is damaged, foreign, or could run code."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from ews.pipeline.artifacts import run_files
from ews.pipeline.train import checkpoint

IDENTITY = {"parameters": "a", "code": "b", "data": "c"}


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def saved(folder: Path) -> Path:
    path = folder / run_files.STATE
    training = {"weights": torch.arange(1000.0)}
    checkpoint.save(path, {"identity": IDENTITY, "training": training, "logs": {"epochs": [{"loss": 0.1}]}})
    return path


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    state, message = checkpoint.resume(saved(tmp_path), IDENTITY)
    assert message == "" and state is not None
    assert torch.equal(state["training"]["weights"], torch.arange(1000.0))
    assert state["logs"] == {"epochs": [{"loss": 0.1}]}


@pytest.mark.parametrize("state", [{"identity": IDENTITY}, [1.0], {"a": 1, "b": 2, "c": 3}])
def test_other_content_in_the_right_format_is_damaged(state: Any, tmp_path: Path) -> None:
    path = tmp_path / run_files.STATE
    checkpoint.save(path, state)
    found, message = checkpoint.resume(path, IDENTITY)
    assert found is None and "damaged" in message


def test_no_state(tmp_path: Path) -> None:
    assert checkpoint.resume(tmp_path / run_files.STATE, IDENTITY) == (None, "")


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "digest", "garbage", "other format"])
def test_a_damaged_state_is_set_aside(damage: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    content = {
        "empty": b"",
        "truncated": content[:-1],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "digest": content[: len(checkpoint.MAGIC)] + b"0" * 64 + content[len(checkpoint.MAGIC) + 64 :],
        "garbage": b"not a state",
        "other format": content[len(checkpoint.MAGIC) + 64 :],
    }[damage]
    path.write_bytes(content)
    state, message = checkpoint.resume(path, IDENTITY)
    assert state is None
    assert "damaged" in message and str(path) in message and "first epoch" in message
    assert not path.exists() and path.with_name("state.pt.damaged").read_bytes() == content


@pytest.mark.parametrize("key", IDENTITY)
def test_a_foreign_state_is_set_aside(key: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    state, message = checkpoint.resume(path, {**IDENTITY, key: "x"})
    assert state is None and f"other {key};" in message
    assert not path.exists() and path.with_name("state.pt.stale").is_file()


def test_loading_runs_no_code(tmp_path: Path) -> None:
    buffer, target = io.BytesIO(), tmp_path / "touched"
    torch.save({"identity": IDENTITY, "bad": Malicious(target)}, buffer)
    payload = buffer.getvalue()
    path = tmp_path / run_files.STATE
    path.write_bytes(checkpoint.MAGIC + hashlib.sha256(payload).hexdigest().encode() + payload)
    state, message = checkpoint.resume(path, IDENTITY)
    assert state is None and "damaged" in message
    assert not target.exists()
