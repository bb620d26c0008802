"""The contact sheet: the right picture in each place, from files or made now, in the same bytes each time."""

import io
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import reseal
from PIL import Image

from ews.core.documents import write_sealed
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.corruptions import BENCHMARK, EXTRA, NAMES, corrupt
from ews.pipeline.corrupt.corruption_sheet import GAP, LABEL_WIDTH, LARGEST, LINE, draw, encode, main
from ews.pipeline.corrupt.generate_corrupted import write_corrupted

SCALED = 3 * 32  # a picture of 32 pixels on the sheet


def sheet(out: Path, *arguments: object) -> np.ndarray:
    main([*map(str, arguments), "--out", str(out)])
    assert out.stat().st_size < LARGEST
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        return np.array(picture.convert("RGB"))


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return the small image [32, 32, 3] at a row (of all 19) and column of a sheet."""
    top = 2 * LINE + row * (SCALED + GAP) + (LINE if row >= len(BENCHMARK) else 0)
    left = LABEL_WIDTH + column * (SCALED + GAP)
    whole = picture[top : top + SCALED, left : left + SCALED]
    small = whole[::3, ::3]
    np.testing.assert_array_equal(whole, small.repeat(3, axis=0).repeat(3, axis=1))
    return small


def change(record: Path, **values: object) -> None:
    """Change values of a JSON file."""
    reseal(record, lambda content: content.update(values))


@pytest.fixture
def stored(dataset: Path, tmp_path: Path) -> Path:
    """A corrupted set of the dataset in which fog and spatter are stored, with seed 3."""
    for name in ("fog", "spatter"):
        write_corrupted(data=dataset, name=name, seed=3, profile="cifar", out=tmp_path / "c" / f"{name}.npy", workers=1)
    return tmp_path / "c"


def test_every_tile_is_the_corruption_that_its_row_and_column_say(dataset: Path, tmp_path: Path) -> None:
    picture = sheet(tmp_path / "now.png", "--data", dataset, "--seed", 3)
    clean = np.load(dataset / "test_images.npy")
    chosen = np.linspace(0, 59, 19).astype(int)
    for row, (name, place) in enumerate(zip(NAMES, chosen, strict=True)):
        np.testing.assert_array_equal(tile(picture, row, 0), clean[place])
        for severity in (1, 5):
            expected = corrupt(clean[[place]], name=name, severity=severity, seed=3, indices=[place])[0]
            np.testing.assert_array_equal(tile(picture, row, severity), expected, err_msg=name)


def test_stored_files_and_images_made_now_give_the_same_bytes(dataset: Path, stored: Path, tmp_path: Path) -> None:
    sheet(tmp_path / "now.png", "--data", dataset, "--seed", 3)
    sheet(tmp_path / "files.png", "--data", dataset, "--corrupted", stored)  # takes their seed
    sheet(tmp_path / "one.png", "--data", dataset, "--corrupted", stored, "--stored", "fog")
    assert (tmp_path / "now.png").read_bytes() == (tmp_path / "files.png").read_bytes()
    assert (tmp_path / "now.png").read_bytes() == (tmp_path / "one.png").read_bytes()


def test_what_is_stored_is_what_is_drawn(dataset: Path, stored: Path, tmp_path: Path) -> None:
    np.save(stored / "fog.npy", np.full_like(np.load(stored / "fog.npy"), 77))
    change(stored / "fog.json", sha256=sha256(stored / "fog.npy"))
    picture = sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", stored)
    assert (tile(picture, NAMES.index("fog"), 2) == 77).all()
    assert (tile(picture, NAMES.index("snow"), 2) != 77).any()


def test_of_a_published_set_nothing_is_made_up(dataset: Path, stored: Path, tmp_path: Path) -> None:
    for name in ("fog", "spatter"):
        record = {"source": "official", "sha256": sha256(stored / f"{name}.npy")}
        write_sealed(stored / f"{name}.json", record)
    picture = sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", stored)
    assert len(picture) == 3 * LINE + 2 * (SCALED + GAP)
    expected = np.load(stored / "fog.npy")[np.linspace(0, 59, 19).astype(int)[NAMES.index("fog")]]
    np.testing.assert_array_equal(tile(picture, 0, 1), expected)
    write_corrupted(data=dataset, name="snow", seed=0, profile="cifar", out=stored / "snow.npy", workers=1)
    with pytest.raises(EwsError, match="snow: made here, beside published files"):
        sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", stored)


def test_bad_sets_are_refused(dataset: Path, stored: Path, tmp_path: Path) -> None:
    arguments = ("--data", dataset, "--corrupted", stored)
    with pytest.raises(EwsError, match=r"no corrupted sets here"):
        sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", dataset)
    with pytest.raises(EwsError, match=r"made with seed 3, not 4\. Generate it again"):
        sheet(tmp_path / "x.png", *arguments, "--seed", 4)
    with pytest.raises(EwsError, match=r"made with profile 'cifar', not 'tiny'"):
        sheet(tmp_path / "x.png", *arguments, "--profile", "tiny")
    with pytest.raises(EwsError, match=r"snow\.json: missing"):
        sheet(tmp_path / "x.png", *arguments, "--stored", "snow")
    (stored / "spatter.npy").unlink()
    with pytest.raises(EwsError, match=r"spatter\.npy: no such file"):
        sheet(tmp_path / "x.png", *arguments, "--stored", "spatter")
    for names in ([], ["fog"]):
        with pytest.raises(EwsError, match="--corrupted"):
            sheet(tmp_path / "x.png", "--data", dataset, "--stored", *names)
    np.save(stored / "fog.npy", np.zeros((10, 32, 32, 3), np.uint8))
    with pytest.raises(EwsError, match=r"fog\.npy: is uint8 \(10, 32, 32, 3\); valid is uint8 \(300, 32, 32, 3\)"):
        sheet(tmp_path / "x.png", *arguments)
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        (r"fog\.json: missing", None),
        (r"fog\.json: sha256: ", {"sha256": None}),
        (r"fog\.json: images_sha256 is '00'", {"images_sha256": "00"}),
        (r"fog\.json: corruption is 'snow'", {"corruption": "snow"}),
        (r"fog\.npy: made with seed 4, not 3|spatter\.npy: made with seed 3, not 4", {"seed": 4}),
        (r"made with profile '.*', not '", {"profile": "tiny"}),
        (r"fog\.npy: damaged: its SHA-256 is .*fog\.json says 0000", {"sha256": "0" * 64}),
    ],
)
def test_stored_images_without_a_fitting_record_are_refused(
    dataset: Path, stored: Path, tmp_path: Path, said: str, changes: dict[str, object] | None
) -> None:
    if changes is None:
        (stored / "fog.json").unlink()
    else:
        change(stored / "fog.json", **changes)
    with pytest.raises(EwsError, match=said):
        sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", stored)
    assert not (tmp_path / "x.png").exists()


def test_a_flipped_bit_is_not_drawn(dataset: Path, stored: Path, tmp_path: Path) -> None:
    with (stored / "fog.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    with pytest.raises(EwsError, match=r"fog\.npy: damaged: its SHA-256"):
        sheet(tmp_path / "x.png", "--data", dataset, "--corrupted", stored)


@pytest.mark.parametrize("side", [32, 64])
def test_the_picture_stays_small(side: int) -> None:
    """The worst case, noise all over, in a file below 1 MB."""
    generator = np.random.default_rng(0)
    clean = generator.integers(0, 256, (19, side, side, 3), dtype=np.uint8)
    corrupted = generator.integers(0, 256, (19, 5, side, side, 3), dtype=np.uint8)
    drawn = draw(clean, corrupted, NAMES, title="noise")
    content = encode(drawn)
    assert len(content) < LARGEST
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (drawn.shape[1], drawn.shape[0])


def test_large_images_are_reduced() -> None:
    clean = np.full((2, 224, 200, 3), 9, np.uint8)
    drawn = draw(clean, np.full((2, 5, 224, 200, 3), 9, np.uint8), ["fog", "snow"], title="large")
    assert drawn.shape[1] == LABEL_WIDTH + 6 * (96 + GAP)
    assert (drawn == 9).all(axis=2).sum() >= 12 * 96 * 107


def test_labels_are_beside_their_rows() -> None:
    clean = np.zeros((19, 32, 32, 3), np.uint8)
    picture = draw(clean, np.zeros((19, 5, 32, 32, 3), np.uint8), NAMES, title="title")
    for row in range(19):
        top = 2 * LINE + row * (SCALED + GAP) + (LINE if row >= len(BENCHMARK) else 0)
        label = picture[top : top + SCALED, :LABEL_WIDTH]
        middle = np.flatnonzero((label < 128).any(axis=(1, 2)))
        assert 0.3 * SCALED < middle.min() and middle.max() < 0.7 * SCALED
        # No label runs into the pictures.
        assert (label[:, -GAP:] == 255).all()
    assert NAMES[len(BENCHMARK) :] == EXTRA
