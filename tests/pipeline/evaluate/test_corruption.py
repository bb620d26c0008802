"""Corruption error against a hand count per corruption and severity, and what is refused."""

import numpy as np
import pytest

from ews.core.errors import EwsError
from ews.core.files import read_json, write_json
from ews.data.dataset import load
from ews.pipeline.artifacts.run import FinishedRun


def test_rows_are_the_hand_count_in_the_order_asked_for(corruption):
    found, _ = corruption("snow", "fog", "frost")
    expected = [
        {"corruption": name, "severity": severity, "error": 100 * step * severity / 40, "n": 40}
        for name, step in (("snow", 1), ("fog", 2), ("frost", 0))
        for severity in range(1, 6)
    ]
    assert found["result"]["rows"] == expected


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
    found, arrays = corruption("fog", more=["--test-images", "12"])
    assert arrays["prediction"].shape == (1, 5, 12)
    for severity, row in enumerate(found["result"]["rows"], start=1):
        assert (row["error"], row["n"]) == (pytest.approx(100 * (indices < 2 * severity).sum() / 12), 12)
    assert clean("--test-images", "12")[0]["result"]["last"]["n"] == 12


def test_a_corruption_that_was_not_generated_is_named_before_any_work(corruption, run, capsys):
    with pytest.raises(EwsError, match=r"grey-c/contrast\.npy: not generated\. There: fog, frost, snow\."):
        corruption("fog", "contrast")
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


@pytest.mark.parametrize(
    "change",
    [lambda labels: np.roll(labels, 1), lambda labels: labels[:40], lambda labels: labels.astype(float)],
    ids=["order", "N", "type"],
)
def test_labels_of_other_images_are_refused(corruption, corrupted, change):
    np.save(corrupted / "labels.npy", change(np.load(corrupted / "labels.npy")))
    with pytest.raises(EwsError, match="not the test labels"):
        corruption("fog")


def test_missing_labels_are_refused(corruption, corrupted):
    (corrupted / "labels.npy").unlink()
    with pytest.raises(EwsError, match=r"labels\.npy: missing"):
        corruption("fog")


def test_a_flipped_bit_gives_no_numbers(corruption, corrupted, run):
    path = corrupted / "snow.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EwsError, match=r"snow\.npy: damaged: its SHA-256 is .*Delete \S+snow\.npy\. `snakemake"):
        corruption("fog", "snow")
    assert not list(run.glob("corruption*"))
    # What was measured before is kept: with the set whole again only the rest is computed.
    assert sorted(path.name for path in (run / ".corruption.json.partial").glob("*.npz"))[0] == "fog-1.npz"
    content[-1] ^= 1
    path.write_bytes(content)
    assert len(corruption("fog", "snow")[0]["result"]["rows"]) == 10
    assert not (run / ".corruption.json.partial").exists()


def test_a_set_without_a_record_is_refused(corruption, corrupted):
    (corrupted / "fog.json").unlink()
    with pytest.raises(EwsError, match=r"fog\.json: missing, so that fog\.npy cannot be checked\. .* makes it"):
        corruption("fog")


@pytest.mark.parametrize("content", ["{}", "[]", '{"sha256": 3}', "{"])
def test_a_record_without_a_checksum_is_refused(corruption, corrupted, content):
    (corrupted / "fog.json").write_text(content)
    with pytest.raises(EwsError, match=r"fog\.json: "):
        corruption("fog")


def change(path, **values):
    write_json(path, read_json(path) | values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"corruption": "snow"}, "corruption is 'snow'; wanted is 'fog'"),
        ({"images_sha256": "0" * 64}, "images_sha256 is '0+'; wanted is"),
        ({"seed": 4, "profile": "cifar"}, "seed is 4; wanted is 3"),
        ({"seed": 3, "profile": "tiny"}, "profile is 'tiny'; wanted is 'cifar'"),
        ({}, "has no seed: these are not images made with seed 3"),
    ],
)
def test_a_set_of_other_images_or_settings_is_refused(corruption, corrupted, values, message):
    change(corrupted / "fog.json", **values)
    with pytest.raises(EwsError, match=message):
        corruption("fog", more=["--seed", "3", "--profile", "cifar"])


def test_the_sidecar_names_a_published_set_by_its_checksum(corruption, corrupted, run):
    change(corrupted / "fog.json", source="official")
    corruption("fog", "snow", more=["--test-images", "12"])
    about = read_json(run / "corruption.json")
    images = about["result"]["corruptions"]
    record = read_json(corrupted / "fog.json")
    assert images["fog"] == {"source": "official", "sha256": record["sha256"], "seed": None, "profile": None}
    assert about["run"] == FinishedRun.open(run).identity
    assert (about["options"]["test_images"], about["dataset"]) == (12, "grey")
    # Another published set in its place: what was found on the first is not continued.
    change(corrupted / "fog.json", source="other")
    corruption("fog")
    assert read_json(run / "corruption.json")["result"]["corruptions"]["fog"]["source"] == "other"


def test_partial_work_of_a_generator_is_not_taken_for_a_set(corruption, corrupted):
    partial = corrupted / ".contrast.npy.partial"
    partial.mkdir()
    (partial / "0123.npy").write_bytes(b"half")
    with pytest.raises(EwsError, match=r"contrast\.npy: not generated\. There: fog, frost, snow\."):
        corruption("contrast")


def test_a_folder_that_is_not_there_is_named(corruption, corrupted):
    with pytest.raises(EwsError, match=r"grey-d/labels\.npy: missing"):
        corruption("fog", more=["--corrupted", str(corrupted.with_name("grey-d"))])


def test_files_of_two_folders_are_refused(corruption, corrupted, tmp_path):
    with pytest.raises(EwsError, match="files of 2 folders"):
        corruption("fog", more=["--corrupted", str(corrupted / "fog.npy"), str(tmp_path / "fog.npy")])
