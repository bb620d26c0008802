"""Corruption error against a hand count per corruption and severity, and what is refused."""

import numpy as np
import pytest

from ews.data.dataset import load
from ews.errors import EwsError


def test_rows_are_the_hand_count_in_the_order_asked_for(corruption):
    rows, _ = corruption("snow", "fog", "frost")
    expected = [
        f"{name},{severity},{100 * step * severity / 40},40"
        for name, step in (("snow", 1), ("fog", 2), ("frost", 0))
        for severity in range(1, 6)
    ]
    assert rows == ["corruption,severity,error,n", *expected]


def test_arrays_are_in_the_same_order_and_need_no_pickle(corruption, labels):
    _, arrays = corruption("snow", "fog")
    assert arrays["names"].tolist() == ["snow", "fog"] and arrays["names"].dtype.kind == "U"
    assert arrays["severities"].tolist() == [1, 2, 3, 4, 5]
    assert arrays["prediction"].shape == arrays["confidence"].shape == (2, 5, 40)
    assert (arrays["prediction"].dtype, arrays["confidence"].dtype) == (np.uint8, np.float16)
    for corruption_index, step in enumerate((1, 2)):
        for severity in range(1, 6):
            missed = np.flatnonzero(arrays["prediction"][corruption_index, severity - 1] != labels)
            assert missed.tolist() == list(range(step * severity))


def test_a_subset_is_the_same_in_every_block_and_for_clean(corruption, clean, data):
    indices = load(data).test_indices(12)
    rows, arrays = corruption("fog", more=["--test-images", "12"])
    assert arrays["prediction"].shape == (1, 5, 12)
    for severity, row in enumerate(rows[1:], start=1):
        _, _, error, n = row.split(",")
        assert (float(error), n) == (pytest.approx(100 * (indices < 2 * severity).sum() / 12), "12")
    assert clean("--test-images", "12")[0]["n"] == 12


def test_a_corruption_that_was_not_generated_is_named_before_any_work(corruption, run, capsys):
    with pytest.raises(EwsError, match=r"grey-c/blizzard\.npy: not generated\. There: fog, frost, snow\."):
        corruption("fog", "blizzard")
    assert capsys.readouterr().err == ""
    assert not list(run.glob("corruption*"))


def test_a_name_twice_is_refused(corruption):
    with pytest.raises(EwsError, match="stands twice"):
        corruption("fog", "snow", "fog")


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images[:-1],
        lambda images: images[:40],
        lambda images: images[:, :4],
        lambda images: images.astype(np.float32),
    ],
    ids=["one too few", "one severity", "smaller", "float"],
)
def test_a_file_of_the_wrong_size_or_type_is_refused(corruption, corrupted, change):
    path = corrupted / "fog.npy"
    np.save(path, change(np.load(path)))
    with pytest.raises(EwsError, match=r"fog\.npy: is .*uint8 \[200, 8, 8, 3\]"):
        corruption("fog")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array at all"])
@pytest.mark.parametrize("name", ["fog.npy", "labels.npy"])
def test_a_damaged_file_is_refused(corruption, corrupted, name, content):
    (corrupted / name).write_bytes(content)
    with pytest.raises(EwsError, match=f"{name}: damaged"):
        corruption("fog")


def test_a_truncated_file_is_refused(corruption, corrupted):
    path = corrupted / "fog.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(EwsError, match=r"fog\.npy: damaged"):
        corruption("fog")


def test_pickled_arrays_are_refused(corruption, corrupted):
    np.save(corrupted / "labels.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(EwsError, match=r"labels\.npy: damaged"):
        corruption("fog")


@pytest.mark.parametrize("change", [lambda labels: np.roll(labels, 1), lambda labels: labels[:40]], ids=["order", "N"])
def test_labels_of_other_images_are_refused(corruption, corrupted, change):
    np.save(corrupted / "labels.npy", change(np.load(corrupted / "labels.npy")))
    with pytest.raises(EwsError, match="not the test labels"):
        corruption("fog")


def test_missing_labels_are_refused(corruption, corrupted):
    (corrupted / "labels.npy").unlink()
    with pytest.raises(EwsError, match=r"labels\.npy: missing"):
        corruption("fog")
