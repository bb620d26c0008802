"""Files of arrays, whole and damaged in every way that one byte allows, and outputs that cannot be right."""

import errno
import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

from ews.core.arrays import check_output, read_labels, read_npy, write_npy
from ews.core.errors import EwsError
from ews.core.faults import reported
from ews.core.files import sha256

HEADER = 128
IMAGES = np.arange(9 * 4 * 4 * 3, dtype=np.uint8).reshape(9, 4, 4, 3)
ARRAYS = {
    "images": IMAGES,
    "labels": np.arange(10, dtype=np.int64),
    "none": np.zeros((0, 4, 4, 3), np.uint8),
    "column-major": np.asfortranarray(IMAGES),
    "scalar": np.array(3.5),
}

pytestmark = pytest.mark.filterwarnings("ignore")  # of Python's parser, about what the damaged headers spell


@pytest.fixture(params=[True, False], ids=["mapped", "read"])
def mapped(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "array.npy"


@pytest.mark.parametrize("name", ARRAYS)
def test_a_whole_file_is_read_as_it_was_written(path: Path, mapped: bool, name: str) -> None:
    np.save(path, ARRAYS[name])
    read = read_npy(path, mapped=mapped)
    assert isinstance(read, np.memmap) == mapped
    assert read.dtype == ARRAYS[name].dtype
    np.testing.assert_array_equal(read, ARRAYS[name])


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_is_written_with_numpys_bytes(path: Path, tmp_path: Path, name: str) -> None:
    np.save(path, ARRAYS[name])
    checksum = write_npy(tmp_path / "new" / "x.npy", ARRAYS[name])
    assert (tmp_path / "new" / "x.npy").read_bytes() == path.read_bytes()
    assert checksum == sha256(path)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["x.npy"]


def test_the_file_of_a_failed_write_stays_the_old_one(tmp_path: Path) -> None:
    """Also of an array so small that it is all written when its file is closed."""
    path = tmp_path / "x.npy"
    write_npy(path, np.arange(3))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for count in (300, 10**6):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
            with pytest.raises(EwsError, match=rf"x\.npy: cannot be written: .* {8 * count:,} bytes"):
                write_npy(path, np.arange(count))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        np.testing.assert_array_equal(read_npy(path, mapped=False), np.arange(3))
        assert [file.name for file in tmp_path.iterdir()] == ["x.npy"]


def refused(path: Path, mapped: bool) -> str:
    with pytest.raises(EwsError) as caught:
        read_npy(path, mapped=mapped)
    message = str(caught.value)
    assert message.startswith(f"{path}: damaged") and "\n" not in message
    return message


def test_every_truncation_is_refused(path: Path, mapped: bool) -> None:
    np.save(path, IMAGES)
    whole = path.read_bytes()
    assert len(whole) == HEADER + IMAGES.size
    for length in [len(whole) - 1, *reversed(range(HEADER + 2))]:
        os.truncate(path, length)
        refused(path, mapped)
    path.write_bytes(whole + b"x")
    assert f"{len(whole) + 1} bytes long, and its header says {len(whole)}" in refused(path, mapped)


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (value,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([value ^ 1 << bit % 8]))


@pytest.mark.parametrize("name", ["images", "labels"])
def test_a_flipped_bit_of_the_header_never_ends_otherwise(path: Path, mapped: bool, name: str) -> None:
    """Refused, or an array of all the file's bytes that is of another type or order, which the callers check."""
    np.save(path, ARRAYS[name])
    whole = path.read_bytes()
    refusals = 0
    for place in range(8 * HEADER):
        # In place: a file system may wait for the disk when a file is written anew.
        flip(path, place)
        try:
            read = read_npy(path, mapped=mapped)
        except EwsError as error:
            refusals += 1
            assert str(error).startswith(f"{path}: damaged") and "\n" not in str(error), place
        else:
            assert read.nbytes == ARRAYS[name].nbytes, place
            assert not read.dtype.hasobject
        flip(path, place)
    assert path.read_bytes() == whole
    assert refusals > 4 * HEADER


def test_what_is_no_array_is_refused(path: Path, mapped: bool) -> None:
    with path.open("wb") as file:
        np.savez(file, images=IMAGES)
    assert "an archive of arrays" in refused(path, mapped)
    path.write_bytes(path.read_bytes()[:-30])
    assert "BadZipFile" in refused(path, mapped)
    path.write_bytes(pickle.dumps(IMAGES))
    assert "does not begin as one" in refused(path, mapped)
    np.save(path, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    assert "object" in refused(path, mapped)
    path.write_bytes(b"")
    assert "empty" in refused(path, mapped)


def test_a_pickle_is_not_run(path: Path, mapped: bool, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "run",))

    np.save(path, np.array([Touch()], dtype=object), allow_pickle=True)
    refused(path, mapped)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_opened_says_why(tmp_path: Path, mapped: bool) -> None:
    with pytest.raises(EwsError, match=r"missing\.npy: no such file"):
        read_npy(tmp_path / "missing.npy", mapped=mapped)
    with pytest.raises(EwsError, match=f"{tmp_path}: cannot be read: Is a directory"):
        read_npy(tmp_path, mapped=mapped)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, ">i4"])
def test_labels_of_any_integer_type_are_read(path: Path, kind: object) -> None:
    np.save(path, np.array([3, 0, 7]).astype(kind))
    labels = read_labels(path, count=3)
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 0, 7]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([1.0, 2.0, 3.0]), r"float64 \(3,\); valid are 3 integers"),
        (np.array([True, False, True]), "bool"),
        (np.array(["1", "2", "3"]), "valid are 3 integers"),
        (np.array([1, 2]), r"int64 \(2,\)"),
        (np.zeros((3, 1), np.int64), r"int64 \(3, 1\)"),
        (np.array([1, 2, 2**63], np.uint64), r"has the label 9223372036854775808; valid are integers below 2\^63"),
    ],
)
def test_other_labels_are_refused(path: Path, values: np.ndarray, said: str) -> None:
    np.save(path, values)
    with pytest.raises(EwsError, match=rf"array\.npy: .*{said}"):
        read_labels(path, count=3)


@pytest.mark.parametrize("name", ["fog", "fog.npz", "fog.NPY", "fog.npy.gz", ".npy", "fog.json"])
def test_an_output_of_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EwsError, match=r"must end in \.npy"):
        check_output(tmp_path / name)


def test_an_output_that_is_an_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, info = tmp_path / "images.npy", tmp_path / "dataset.json"
    inputs = [images, info]
    images.touch()
    (tmp_path / "link.npy").symlink_to(images)
    (tmp_path / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for out in (images, "images.npy", "folder/images.npy", "link.npy", "dataset.npy"):
        with pytest.raises(EwsError, match="would overwrite"):
            check_output(out, inputs=inputs)
    check_output("other.npy", inputs=inputs)
    (tmp_path / "made.npy").mkdir()
    with pytest.raises(EwsError, match="is a folder"):
        check_output("made.npy")


def test_a_failed_write_names_the_file_the_size_and_the_reason() -> None:
    with pytest.raises(EwsError, match=r"out/fog\.npy: .*No space left on device.* 1,500,000 bytes"):
        with reported(Path("out/fog.npy"), size=1_500_000):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(EwsError, match="100 requested and 20 written"), reported("fog.npy", size=1):
        raise OSError("100 requested and 20 written")  # as NumPy says it
    with pytest.raises(ValueError), reported("fog.npy", size=1):
        raise ValueError
