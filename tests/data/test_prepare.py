"""The prepared folder: same bytes each time, nothing damaged is loaded, one command with readable errors."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.runs import reseal
from helpers.spoil import spoilt

from ews.core.errors import EwsError
from ews.core.files import exclusive
from ews.data.data_command import code_of, main
from ews.data.dataset import Dataset, load
from ews.data.prepare import moments, prepare
from ews.data.sources import Source

ROOT = Path(__file__).parents[2]
Files = dict[str, bytes]
MakeTar = Callable[..., Path]


def build(out: Path, *, source: str = "digits", validation: float = 0.1, **more: object) -> Path:
    places = {"manifest": ROOT / "data" / "sources.yaml", "downloads": out.parent / ".downloads"}
    prepare(dataset="set", source=source, validation=validation, out=out, **(places | more))  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def copy(digits: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for path in digits.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def packed(
    pictures: Files, make_tar: MakeTar, source_of: Callable[..., Source], tmp_path: Path
) -> Callable[..., dict[str, object]]:
    """Make an image-folder archive in a mirror and a manifest for it; returns arguments for ``build``."""

    def make(**more: object) -> dict[str, object]:
        mirror = tmp_path / "mirror"
        mirror.mkdir()
        body = make_tar(mirror / "set.tar.gz", pictures).read_bytes()
        manifest = tmp_path / "sources.yaml"
        entry = source_of(body, **more).model_dump(exclude_none=True)
        manifest.write_text(yaml.safe_dump({"pictures": entry}))
        return {"source": "pictures", "manifest": manifest, "mirror": str(mirror)}

    return make


def test_the_format(digits: Path) -> None:
    assert {path.name for path in digits.iterdir()} == {
        "dataset.json",
        "train_images.npy",
        "train_labels.npy",
        "test_images.npy",
        "test_labels.npy",
        "validation.npy",
    }
    data = load(digits)
    assert (len(data.train_labels), len(data.validation), len(data.test_labels)) == (1297, 130, 500)
    assert data.name == "set" and data.image_size == 32 and data.classes == list("0123456789")
    assert isinstance(data.train_images, np.memmap) and not data.train_images.flags.writeable
    for array in (data.train_labels, data.test_labels, data.validation):
        assert not array.flags.writeable


def test_validation_is_stratified_and_never_trained_on(digits: Path) -> None:
    data = load(digits)
    share = 130 * np.bincount(data.train_labels) / 1297
    assert np.all(np.abs(np.bincount(data.train_labels[data.validation]) - share) < 1)
    for count in (None, 1, 200, 1167):
        indices = data.training_indices(count)
        assert len(indices) == (count or 1167) and not set(indices) & set(data.validation)
    for count in (0, -1, 1168):
        with pytest.raises(EwsError, match="valid: 1 to 1167"):
            data.training_indices(count)
    subset = data.test_indices(100)
    assert np.all(np.abs(np.bincount(data.test_labels[subset]) - np.bincount(data.test_labels) / 5) < 1)
    assert data.test_indices().tolist() == list(range(500))


def test_mean_and_deviation_are_of_the_training_images_alone(digits: Path) -> None:
    data = load(digits)
    pixels = data.train_images[data.training_indices()].astype(np.float64) / 255
    assert np.allclose(data.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(data.std, pixels.std(axis=(0, 1, 2)), rtol=1e-12)


def test_moments_of_unequal_channels() -> None:
    images = np.random.default_rng(0).integers(0, [[[[256, 50, 3]]]], size=(7, 5, 5, 3)).astype(np.uint8)
    mean, std = moments(images)
    assert np.allclose(mean, images.mean(axis=(0, 1, 2)) / 255) and np.allclose(std, images.std(axis=(0, 1, 2)) / 255)


def test_the_same_bytes_each_time(digits: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "elsewhere" / "other")
    for path in digits.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    assert str(digits.parent) not in (digits / "dataset.json").read_text()
    assert load(again).checksum == load(digits).checksum


def test_another_split_is_another_checksum(digits: Path, tmp_path: Path) -> None:
    other = load(build(tmp_path / "set", validation=0.2))
    assert other.checksum != load(digits).checksum
    assert np.array_equal(other.test_images, load(digits).test_images)


def test_no_validation(tmp_path: Path) -> None:
    data = load(build(tmp_path / "set", validation=0))
    assert data.validation.shape == (0,) and data.validation.dtype == np.int64
    assert len(data.training_indices()) == 1297


@pytest.mark.parametrize("validation", [-0.1, 1.0, float("nan"), 0.0001])
def test_bad_validation_names_the_key(tmp_path: Path, validation: float) -> None:
    with pytest.raises(EwsError, match=r"datasets\.set\.validation"):
        build(tmp_path / "set", validation=validation)
    assert not (tmp_path / "set" / "dataset.json").exists()


ARRAYS = ["train_images", "train_labels", "test_images", "test_labels", "validation"]


@pytest.mark.parametrize("name", ARRAYS)
def test_damage_is_found_and_the_file_named(copy: Path, name: str) -> None:
    path = copy / f"{name}.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EwsError, match=rf"{name}\.npy: damaged"):
        load(copy)
    for length in (len(content) - 8, 100, 0):
        path.write_bytes(content[:length])
        for verify in (True, False):
            with pytest.raises(EwsError, match=rf"{name}\.npy: damaged"):
                load(copy, verify=verify)
    path.unlink()
    with pytest.raises(EwsError, match=rf"{name}\.npy: missing"):
        load(copy)


def test_a_pickle_in_place_of_an_array_is_not_opened(copy: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    with (copy / "train_labels.npy").open("wb") as file:
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(EwsError, match=r"train_labels\.npy: damaged"):
        load(copy, verify=False)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("train_labels", np.full(1297, 10)),
        ("test_labels", np.full(500, -1)),
        ("test_labels", np.zeros(500, dtype=np.int32)),
        ("validation", np.zeros(130, dtype=np.int64)),
        ("validation", np.arange(1297 - 129, 1298)),
        ("train_images", np.zeros((1297, 32, 32), dtype=np.uint8)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(copy: Path, name: str, array: np.ndarray) -> None:
    np.save(copy / f"{name}.npy", array)
    changed = hashlib.sha256((copy / f"{name}.npy").read_bytes()).hexdigest()
    reseal(copy / "dataset.json", lambda info: info["files"].update({f"{name}.npy": changed}))
    with pytest.raises(EwsError, match=rf"{name}\.npy: damaged"):
        load(copy)


def test_an_unfinished_or_edited_folder_is_refused(copy: Path) -> None:
    whole = (copy / "dataset.json").read_text()
    for key in ("train", "classes", "mean", "files", "name"):
        (copy / "dataset.json").write_text(whole)
        reseal(copy / "dataset.json", lambda info, key=key: info.pop(key))
        with pytest.raises(EwsError, match=rf"dataset\.json: {key}: Field required"):
            load(copy)
    (copy / "dataset.json").unlink()
    with pytest.raises(EwsError, match="no prepared dataset"):
        load(copy)


def test_an_archive_from_a_mirror(packed: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    arguments = packed(train=20, test=6, classes=2)
    data = load(build(tmp_path / "set", **arguments))  # type: ignore[arg-type]
    assert data.classes == ["cat", "dog"] and len(data.validation) == 2
    assert data.info.source.sha256 == hashlib.sha256((tmp_path / "mirror/set.tar.gz").read_bytes()).hexdigest()


def test_a_folder_in_place_of_an_archive(pictures: Files, tmp_path: Path) -> None:
    for name, content in pictures.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    entry = {"title": "T", "kind": "image_folder", "folder": str(tmp_path / "in"), "image_size": 8}
    manifest = tmp_path / "sources.yaml"
    manifest.write_text(yaml.safe_dump({"mine": entry | {"licence": "L", "citation": "C"}}))
    data: Dataset = load(build(tmp_path / "set", source="mine", manifest=manifest))
    assert data.train_images.shape == (20, 8, 8, 3)
    assert str(tmp_path) not in (tmp_path / "set" / "dataset.json").read_text()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for out in ("in", "link", "in/train/new"):
        with pytest.raises(EwsError, match=r"sources\.yaml: mine\.folder .*in, which is (only )?read"):
            build(tmp_path / out, source="mine", manifest=manifest)


@pytest.mark.parametrize("wrong", [{"train": 21}, {"test": 5}, {"classes": 3}])
def test_counts_of_the_manifest_are_checked(
    packed: Callable[..., dict[str, object]], tmp_path: Path, wrong: dict[str, int]
) -> None:
    arguments = packed(**wrong)
    with pytest.raises(EwsError, match=f"pictures: {next(iter(wrong))}: .*the manifest says"):
        build(tmp_path / "set", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_a_failed_rebuild_leaves_the_folder_as_it_was(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = np.save, []
    before = {path.name: path.read_bytes() for path in copy.iterdir()}

    def fails(file: object, array: np.ndarray, **more: bool) -> None:
        written.append(array)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(file, array, **more)

    monkeypatch.setattr(np, "save", fails)
    with pytest.raises(EwsError, match="No space left"):
        build(copy, validation=0.3)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    load(copy)


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with exclusive(tmp_path / ".locks" / "set"), pytest.raises(EwsError, match="another process"):
        build(tmp_path / "set")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "ews", "data", "prepare", "--manifest", str(ROOT / "data" / "sources.yaml"), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        check=False,
    )


def test_the_command(digits: Path, tmp_path: Path) -> None:
    code = code_of("digits")
    common = ["--dataset", "set", "--source", "digits", "--validation", "0.1", "--downloads", str(tmp_path / "d")]
    done = command(*common, "--out", str(tmp_path / "set"), "--fingerprint", code)
    assert done.returncode == 0, done.stderr
    assert "1297 training images (130 of them for validation), 500 test images, 10 classes, 32x32" in done.stdout
    assert (tmp_path / "set" / "dataset.json").read_bytes() == (digits / "dataset.json").read_bytes()
    stale = command(*common, "--out", str(tmp_path / "other"), "--fingerprint", "0" * 16)
    assert stale.returncode == 1 and "code changed" in stale.stderr and not (tmp_path / "other").exists()


def test_without_a_mirror_the_jpeg_archive_says_what_to_set(tmp_path: Path) -> None:
    arguments = ["--dataset", "cifar10_jpeg", "--source", "cifar10_jpeg", "--validation", "0.1"]
    places = ["--downloads", str(tmp_path / "d"), "--out", str(tmp_path / "set")]
    done = command(*arguments, *places, EWS_MIRROR="")
    assert done.returncode == 1 and "EWS_MIRROR" in done.stderr and "Traceback" not in done.stderr
    assert "cifar10-jpeg.tar.xz" in done.stderr and "18545936" in done.stderr
    assert not (tmp_path / "set").exists()


def test_training_code_does_not_depend_on_the_downloader_or_the_readers() -> None:
    code = (
        "import sys, ews.data.dataset; wrong = [name for name in sys.modules if name in "
        "('ews.data.download', 'ews.data.prepare', 'ews.data.image_folder', 'ews.data.sources', 'requests')]; "
        "sys.exit(str(wrong) if wrong else 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_how_a_folder_is_read_stands_in_the_manifest_and_all_bad_images_are_printed(
    pictures: Files, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, content in pictures.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("val/cat", "train/bird"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set/val/cat/0.png").write_bytes(pictures["train/cat/0.png"])
    entry = {"title": "T", "kind": "image_folder", "folder": str(tmp_path / "set"), "licence": "L", "citation": "C"}
    manifest = tmp_path / "sources.yaml"
    manifest.write_text(yaml.safe_dump({"pets": entry | {"test_split": "test", "allow_empty_classes": True}}))
    words = ["--dataset", "pets", "--source", "pets", "--validation", "0.1", "--manifest", str(manifest)]
    main([*words, "--out", str(tmp_path / "pets")])
    said = capsys.readouterr()
    assert "20 training images" in said.out and "2 classes" in said.out and "1 beside the splits" in said.err
    for number in range(10):
        (tmp_path / f"set/train/cat/{number}.png").write_bytes(b"")
    (tmp_path / "set/test/dog/0.png").write_bytes(b"")
    with pytest.raises(EwsError, match="11 files or folders cannot be used"):
        main([*words, "--out", str(tmp_path / "other")])
    assert len(capsys.readouterr().out.splitlines()) == 11
    assert not (tmp_path / "other/dataset.json").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mean", [0.25, 0.25, 0.25]),
        ("std", [0.25, 0.25, 0.25]),
        ("classes", list("9876543210")),
        ("name", "renamed"),
        ("source", {"name": "elsewhere"}),
    ],
)
def test_the_identity_covers_what_a_run_depends_on(copy: Path, key: str, value: object) -> None:
    before = load(copy).checksum
    reseal(copy / "dataset.json", lambda info: info.update({key: value}))
    assert (load(copy).checksum == before) == (key in ("name", "source"))


def test_every_field_of_the_description_is_vouched_for(copy: Path) -> None:
    path = copy / "dataset.json"
    whole = path.read_bytes()
    tried = 0
    for what, content in spoilt(path):
        path.write_bytes(content)
        with pytest.raises(EwsError, match=r"dataset\.json: .*(again|build the dataset)"):
            load(copy)
            pytest.fail(what)
        tried += 1
    path.write_bytes(whole)
    load(copy)
    assert tried > 50
