"""Extra images out of a file that is not trusted."""

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.spoil import spoilt

from ews.core.errors import EwsError
from ews.data import arrays_pickle
from ews.data.archives import Bounds
from ews.data.convert import convert, locate, main
from ews.data.dataset import Dataset, DatasetInfo
from ews.data.extra import folder_of, load

SIZE, CLASSES = 8, 3


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3)).astype(np.uint8)
    labels = np.arange(6) % CLASSES
    info = DatasetInfo(
        name="blobs",
        classes=("a", "b", "c"),
        image_size=SIZE,
        train=6,
        test=len(images) - 6,
        validation=0,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        files={},
    )
    return Dataset(tmp_path / "blobs", info, images[:6], labels, images[6:], labels, np.empty(0, np.int64))


def content(count: int = 5, *, label_type: str = "int64") -> dict[str, Any]:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)
    return {"data": images, "extrapolated_targets": (np.arange(count) % CLASSES).astype(label_type)}


def write(path: Path, value: Any, *, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("label_type", ["int64", "uint8", ">i4"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_come_out_as_they_went_in(protocol: int, label_type: str, tmp_path: Path) -> None:
    made = content(label_type=label_type) | {"order": np.asfortranarray(np.arange(6).reshape(2, 3)), "note": "text"}
    found = arrays_pickle.read(write(tmp_path / "file.pickle", made, protocol=protocol))
    assert found["note"] == "text"
    for name in ("data", "extrapolated_targets", "order"):
        assert np.array_equal(found[name], made[name]) and found[name].dtype == made[name].dtype


ENTRIES = {
    **{name: np.linspace(-2, 2, 5).astype(name) for name in ("f2", "f4", "<f8", ">f8", ">f4")},
    "b1": np.array([[True, False], [False, False]]),
    "i2": np.arange(4, dtype="i2"),
}
NUMBERS: dict[str, Any] = {
    **{name: np.dtype(name).type(3) for name in ("u1", "i2", "i4", "u8", "f2")},
    **{"f4": np.float32(0.1), "f8": np.float64(-1e300), "nothing": np.float64("nan"), "truth": np.bool_(True)},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_entries_that_nobody_needs_may_be_of_any_kind_of_number(protocol: int, tmp_path: Path) -> None:
    found = arrays_pickle.read(
        write(tmp_path / "file.pickle", content() | ENTRIES | {"numbers": NUMBERS}, protocol=protocol)
    )
    assert np.array_equal(found["data"], content()["data"])
    for name, array in ENTRIES.items():
        assert np.array_equal(found[name], array) and found[name].dtype == array.dtype
    for name, number in NUMBERS.items():
        value = found["numbers"][name]
        assert type(value) in (int, float, bool) and np.array_equal(value, number, equal_nan=True)
    assert found["numbers"]["truth"] is True


def test_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pickle", content() | {"number": np.float32(0.5)}, protocol=2)
    assert path.read_bytes().count(b"cnumpy._core.multiarray\n") == 2
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    found = arrays_pickle.read(path)
    assert np.array_equal(found["data"], content()["data"]) and found["number"] == 0.5


class Scalar:
    """Pickled, what its arguments make of NumPy's scalar."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return np._core.multiarray.scalar, self.arguments  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((np.dtype(object), "text"), "arrays or scalars of type 'O8'"),
        ((np.dtype("U4"), b"\0" * 16), "arrays or scalars of type 'U4'"),
        ((np.dtype("c16"), b"\0" * 16), "arrays or scalars of type 'c16'"),
        ((np.dtype("f16"), b"\0" * 16), "arrays or scalars of type 'f16'"),
        ((np.dtype("M8[s]"), b"\0" * 8), "arrays or scalars of type 'M8'"),
        ((np.dtype([("a", "f4")]), b"\0" * 4), "arrays or scalars of type 'V4'"),
        (("f8", b"\0" * 8), "a scalar without a type"),
        ((np.dtype("f8"), 2**62), "the content of an array or a scalar from int"),
        ((np.dtype("f8"), [0] * 8), "the content of an array or a scalar from list"),
    ],
)
def test_scalars_of_other_types_are_refused(
    arguments: tuple[Any, ...], asked: str, protocol: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "file.pickle", {**content(), "more": Scalar(*arguments)}, protocol=protocol)
    with pytest.raises(EwsError) as refused:
        arrays_pickle.read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: refused: the pickle asks for {asked}. Admitted: dicts, lists, tuples, numbers")
    assert message.endswith("If you trust the file, write its images and labels to an .npz file.")


def test_a_scalar_of_an_object_that_runs_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = write(tmp_path / "evil.pickle", {**content(), "more": Scalar(np.dtype(object), Runs(mark))})
    with pytest.raises(EwsError, match="refused: the pickle asks for arrays or scalars of type 'O8'"):
        arrays_pickle.read(path)
    path = write(tmp_path / "evil.pickle", {**content(), "more": Scalar(np.dtype("f8"), Runs(mark))})
    with pytest.raises(EwsError, match=r"refused: the pickle asks for (posix|nt)\.system"):
        arrays_pickle.read(path)
    assert not mark.exists()


@pytest.mark.parametrize("size", [0, 4, 16])
def test_a_scalar_of_another_size_than_its_type_is_damaged(size: int, tmp_path: Path) -> None:
    path = write(tmp_path / "file.pickle", {**content(), "more": Scalar(np.dtype("f8"), b"\0" * size)})
    with pytest.raises(EwsError, match="a damaged one"):
        arrays_pickle.read(path)


class Runs:
    """Unpickled, it would create a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def by_hand(*, module: str, name: str, argument: bytes) -> bytes:
    return (
        b"c"
        + module.encode()
        + b"\n"
        + name.encode()
        + b"\n("
        + b"X"
        + struct.pack("<I", len(argument))
        + argument
        + b"tR."
    )


@pytest.mark.parametrize("place", ["alone", "value", "inside an array", "key"])
def test_a_pickle_that_runs_something_is_refused_and_runs_nothing(place: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil: Any = Runs(mark)
    if place == "value":
        evil = {**content(), "more": evil}
    elif place == "inside an array":
        array = np.empty(1, dtype=object)
        array[0] = evil
        evil = {**content(), "extrapolated_targets": array}
    elif place == "key":
        evil = {(evil,): 1}
    path = write(tmp_path / "evil.pickle", evil)
    with pytest.raises(EwsError, match="refused: the pickle asks for"):
        arrays_pickle.read(path)
    assert not mark.exists()
    # The same file does run it for one who trusts it: the test can fail.
    with path.open("rb") as file:
        pickle.load(file)
    assert mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy.core.numeric", "scalar"),
        ("numpy", "float64"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("_codecs", "decode"),
        ("ews.data.arrays_pickle", "read"),
    ],
)
def test_other_names_are_refused(module: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pickle"
    path.write_bytes(b"\x80\x02" + by_hand(module=module, name=name, argument=b"1"))
    with pytest.raises(EwsError, match="refused"):
        arrays_pickle.read(path)


def test_other_encodings_and_states_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pickle"
    path.write_bytes(b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.")
    with pytest.raises(EwsError, match="the encoding 'rot13'"):
        arrays_pickle.read(path)
    # BUILD on a stand-in that is no array.
    path.write_bytes(b"\x80\x02c_codecs\nencode\n}b.")
    with pytest.raises(EwsError, match="refused: the pickle asks for a state"):
        arrays_pickle.read(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: b"",
        lambda data: b"rubbish",
        lambda data: pickle.dumps([1, 2]),
        lambda data: pickle.dumps({"data": np.zeros(3, complex)}),
        lambda data: pickle.dumps({"data": np.array(["text"])}),
        lambda data: pickle.dumps({"data": np.zeros(2, dtype=[("a", "u1")])}),
    ],
)
def test_damaged_and_other_pickles_are_one_message(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.pickle"
    path.write_bytes(damage(pickle.dumps(content())))
    with pytest.raises(EwsError, match=r"file\.pickle"):
        arrays_pickle.read(path)


def test_an_array_of_fewer_bytes_than_its_shape_says_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps({"data": np.zeros((200, 3), dtype=np.uint8)}, protocol=4)
    assert data.count(b"K\xc8K\x03") == 1
    (tmp_path / "file.pickle").write_bytes(data.replace(b"K\xc8K\x03", b"K\xc9K\x03"))
    with pytest.raises(EwsError, match="damaged"):
        arrays_pickle.read(tmp_path / "file.pickle")


@pytest.mark.parametrize("kind", ["pickle", "npz"])
def test_converted_images_can_be_loaded(kind: str, dataset: Dataset, tmp_path: Path) -> None:
    made = content(label_type="uint8")
    source = tmp_path / f"source.{kind}"
    if kind == "pickle":
        write(source, made)
    else:
        np.savez(source, images=made["data"], labels=made["extrapolated_targets"])
    info = convert(source, dataset=dataset, out=folder_of(dataset.folder), expected=None)
    extra = load(dataset)
    assert np.array_equal(extra.images, made["data"]) and extra.labels.tolist() == made["extrapolated_targets"].tolist()
    assert extra.labels.dtype == np.int64
    again = convert(source, dataset=dataset, out=folder_of(dataset.folder), expected=info.source.sha256)
    assert again == info and load(dataset).checksum == extra.checksum
    with pytest.raises(EwsError, match="another file, or a damaged one"):
        convert(source, dataset=dataset, out=folder_of(dataset.folder), expected="0" * 64)


def test_every_field_and_byte_is_vouched_for(dataset: Dataset, tmp_path: Path) -> None:
    folder = folder_of(dataset.folder)
    convert(write(tmp_path / "source.pickle", content()), dataset=dataset, out=folder, expected=None)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        whole = path.read_bytes()
        for what, changed in spoilt(path):
            path.write_bytes(changed)
            with pytest.raises(EwsError, match=rf"{path.name}: .*Make it again"):
                load(dataset)
                pytest.fail(what)
        path.write_bytes(whole)
    load(dataset)


@pytest.mark.parametrize("name", ["source.pickle", "source", "source.tar"])
def test_an_npz_is_told_by_its_first_bytes(name: str, dataset: Dataset, tmp_path: Path) -> None:
    made = content(label_type="uint8")
    with (tmp_path / name).open("wb") as file:
        np.savez(file, images=made["data"], labels=made["extrapolated_targets"])
    convert(tmp_path / name, dataset=dataset, out=folder_of(dataset.folder), expected=None)
    assert np.array_equal(load(dataset).images, made["data"])


def test_an_npz_that_expands_beyond_its_bounds_is_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ews.data.convert.BOUNDS", Bounds(small=2**20))
    np.savez_compressed(tmp_path / "source.npz", images=np.zeros((2000, 32, 32, 3), np.uint8), labels=np.zeros(9))
    with pytest.raises(EwsError, match="bytes that expand to more than 1,048,576"):
        convert(tmp_path / "source.npz", dataset=dataset, out=folder_of(dataset.folder), expected=None)


def test_what_does_not_fit_the_dataset_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    def attempt(**changes: Any) -> None:
        source = write(tmp_path / "source.pickle", {**content(), **changes})
        convert(source, dataset=dataset, out=folder_of(dataset.folder), expected=None)

    with pytest.raises(EwsError, match=r"not uint8 \(N, 8, 8, 3\)"):
        attempt(data=np.zeros((5, 6, 6, 3), np.uint8))
    with pytest.raises(EwsError, match=r"labels from 0 to 3; valid: 0 to 2"):
        attempt(extrapolated_targets=np.array([0, 1, 2, 3, 0]))
    with pytest.raises(EwsError, match=r"not int64 \(5,\)"):
        attempt(extrapolated_targets=np.arange(4) % 3)
    with pytest.raises(EwsError, match=r"the labels are float64 \(5,\), not int64"):
        attempt(extrapolated_targets=np.arange(5) % 3.0)
    with pytest.raises(EwsError, match=r"the labels are bool \(5,\), not int64"):
        attempt(extrapolated_targets=np.ones(5, bool))
    with pytest.raises(EwsError, match=r"the images are float32 \(5, 8, 8, 3\), not uint8"):
        attempt(data=np.zeros((5, SIZE, SIZE, 3), np.float32))
    with pytest.raises(EwsError, match=r"2 of its images are test images of blobs"):
        attempt(data=np.concatenate([dataset.test_images[:2], content()["data"][:3]]))
    with pytest.raises(EwsError, match="needed: 'data' and 'extrapolated_targets'"):
        source = write(tmp_path / "source.pickle", {"images": content()["data"]})
        convert(source, dataset=dataset, out=folder_of(dataset.folder), expected=None)
    assert not (folder_of(dataset.folder) / "extra.json").exists()
    with pytest.raises(EwsError, match="no extra images here"):
        load(dataset)


def test_an_npz_with_a_pickle_inside_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "source.npz", images=np.array([Runs(tmp_path / "mark")], dtype=object), labels=np.zeros(1))
    with pytest.raises(EwsError, match=r"not an \.npz file of plain arrays"):
        convert(tmp_path / "source.npz", dataset=dataset, out=tmp_path / "out", expected=None)
    assert not (tmp_path / "mark").exists()


def test_a_missing_file_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EWS_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(EwsError, match=r"in a browser from the link on https://x\.example.*data/\.downloads"):
        locate("file.pickle", mirror=None, page="https://x.example")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "file.pickle").touch()
    assert locate("file.pickle", mirror=None, page="") == tmp_path / "mirror" / "file.pickle"


def test_the_command(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ews",
        "data",
        "extra",
        "--data",
        str(tmp_path / "none"),
        "--file",
        "nowhere.pickle",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "nowhere.pickle: not found in" in done.stderr and "Traceback" not in done.stderr
    with pytest.raises(SystemExit):
        main([])


def test_reading_leaves_the_stand_ins_as_they_are(tmp_path: Path) -> None:
    """A pickle cannot give a stand-in's class attributes that a later one would meet."""
    stand_ins = [
        item for item in vars(arrays_pickle).values() if getattr(item, "__module__", "") == arrays_pickle.__name__
    ]
    before = [dict(vars(item)) for item in stand_ins]
    path = tmp_path / "file.pickle"
    path.write_bytes(b"\x80\x02cnumpy\ndtype\nN}X\x01\x00\x00\x00aK\x01s\x86b.")
    with pytest.raises(EwsError):
        arrays_pickle.read(path)
    assert len(stand_ins) > 5 and [dict(vars(item)) for item in stand_ins] == before


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "blobs-extra").mkdir()
    source = write(tmp_path / "blobs-extra" / "images.npy", content())
    before = source.read_bytes()
    with pytest.raises(EwsError, match=r"blobs.*: would overwrite --file .*images\.npy"):
        main(["--data", str(tmp_path / "blobs"), "--file", str(source)])
    assert source.read_bytes() == before
