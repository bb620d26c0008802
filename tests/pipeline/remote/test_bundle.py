"""What is taken out of an archive of runs, whatever it is called and whatever lies last in it."""

import io
import shutil
import tarfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.data.archives import Bounds
from ews.pipeline.remote.adopt.bundle import unpack

RUN = "digits/tiny/standard/ews/seed0"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs whose last file is an .npz, which is a zip."""
    folder = tmp_path / "results/runs" / RUN
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(3))
    (folder / "z.npz").write_bytes(buffer.getvalue())
    return tmp_path / "results"


@pytest.mark.parametrize("name", ["runs.tar", "runs.zip", "runs"])
def test_a_tar_that_ends_in_an_npz_is_one_of_runs(runs: Path, name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / name, "w") as file:
        file.add(runs, "results")
    (tmp_path / "into").mkdir()
    found = unpack(tmp_path / name, tmp_path / "into")
    assert sorted(found[RUN]) == ["a.json", "z.npz"]
    assert found[RUN]["z.npz"].read_bytes() == (runs / "runs" / RUN / "z.npz").read_bytes()


def test_what_is_larger_than_the_room_is_refused(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 100))
    (tmp_path / "into").mkdir()
    with pytest.raises(EwsError, match="larger than the room on the disk"):
        unpack(runs, tmp_path / "into")


def test_a_bomb_of_runs_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    """Some kilobytes that would be much more."""
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as file:
        for number in range(20):
            info = tarfile.TarInfo(f"{RUN}/{number}.npy")
            info.size = 2**20
            file.addfile(info, io.BytesIO(bytes(info.size)))
    assert (tmp_path / "runs.tar.gz").stat().st_size < 50_000
    (tmp_path / "into").mkdir()
    with pytest.raises(EwsError, match="expand to more than 8,388,608; the archive is refused"):
        unpack(tmp_path / "runs.tar.gz", tmp_path / "into", Bounds(small=2**23))
    assert sum(path.stat().st_size for path in (tmp_path / "into").rglob("*.npy")) <= 2**23
