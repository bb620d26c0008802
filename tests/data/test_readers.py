"""The readers: pixels and labels come out where they belong, and bad archives are refused."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits

from ews.core.errors import EwsError
from ews.data import archives, cifar_binary, digits, image_folder
from ews.data.reader_registry import READERS

Files = dict[str, bytes]
MakeTar = Callable[..., Path]
MakePng = Callable[..., bytes]


def test_every_registered_reader_exists() -> None:
    for name in READERS:
        assert callable(READERS[name].implementation())


def test_digits_are_all_there_once_and_divided_by_class() -> None:
    raw = digits.read()
    raw.check_trainable("digits")
    assert raw.train_images.shape == (1297, 32, 32, 3) and raw.test_images.shape == (500, 32, 32, 3)
    assert raw.classes == tuple("0123456789")
    whole = np.bincount(load_digits().target)
    test = np.bincount(raw.test_labels)
    assert np.array_equal(np.bincount(raw.train_labels) + test, whole)
    assert np.all(np.abs(test - 500 * whole / 1797) < 1)


def test_digits_keep_their_look() -> None:
    raw = digits.read()
    images = np.concatenate([raw.train_images, raw.test_images])
    assert np.array_equal(images[..., 0], images[..., 1]) and np.array_equal(images[..., 0], images[..., 2])
    # Another implementation of the same interpolation; both round, Pillow between its two passes as well.
    scans = torch.from_numpy(load_digits().images)[:, None] * (255 / 16)
    large = F.interpolate(scans, scale_factor=4, mode="bilinear", align_corners=False).flatten(1)
    ours = torch.from_numpy(images[..., 0].reshape(len(images), -1)).double()
    nearest = torch.cdist(ours, large).argmin(dim=1)
    assert len(nearest.unique()) == 1797
    assert (ours - large[nearest]).abs().max() <= 1.5
    labels = np.concatenate([raw.train_labels, raw.test_labels])
    assert np.array_equal(load_digits().target[nearest.numpy()], labels)


def test_cifar10_records(cifar_files: Files, make_tar: MakeTar, tmp_path: Path) -> None:
    raw = cifar_binary.read(make_tar(tmp_path / "a.tar.gz", cifar_files))
    raw.check_trainable("cifar")
    assert raw.train_images.shape == (100, 32, 32, 3) and raw.test_images.shape == (20, 32, 32, 3)
    # Byte by byte from the format's description: batch 2, record 3, green plane, row 5, column 7.
    content = cifar_files["cifar-10-batches-bin/data_batch_2.bin"]
    assert raw.train_images[20 + 3, 5, 7, 1] == content[3 * 3073 + 1 + 1024 + 5 * 32 + 7]
    assert raw.train_labels[23] == content[3 * 3073] == 3
    assert raw.classes[3] == "class3"


def test_cifar100_takes_the_fine_label(make_tar: MakeTar, tmp_path: Path) -> None:
    records = np.zeros((100, 3074), dtype=np.uint8)
    records[:, 0], records[:, 1] = 5, np.arange(100)
    records[:, 2] = np.arange(100) + 100  # first red value
    names = {
        "c/fine_label_names.txt": "\n".join(f"f{n}" for n in range(100)).encode(),
        "c/coarse_label_names.txt": b"a\nb",
    }
    path = make_tar(tmp_path / "a.tar.gz", {"c/train.bin": records.tobytes(), "c/test.bin": records.tobytes()} | names)
    raw = cifar_binary.read(path)
    assert np.array_equal(raw.train_labels, np.arange(100)) and len(raw.classes) == 100
    assert np.array_equal(raw.train_images[:, 0, 0, 0], np.arange(100) + 100)


def change_cifar(files: Files, case: str) -> Files:
    folder = "cifar-10-batches-bin/"
    batch = folder + "data_batch_3.bin"
    match case:
        case "cut":
            return files | {batch: files[batch][:-1]}
        case "empty":
            return files | {batch: b""}
        case "fewer":
            return files | {batch: files[batch][:3073]}
        case "label":
            return files | {batch: bytes([10]) + files[batch][1:]}
        case "missing":
            return {name: content for name, content in files.items() if name != batch}
        case "twice":
            return files | {"other/data_batch_3.bin": files[batch]}
        case _:
            return {folder + "data_batch_1": b"pickle"}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("cut", "data_batch_3.bin has 61459 bytes, not a whole number"),
        ("empty", "data_batch_3.bin has 0 bytes"),
        ("fewer", "differ in length"),
        ("label", "data_batch_3.bin has label 10; valid: 0 to 9"),
        ("missing", "data_batch_3.bin missing"),
        ("twice", "data_batch_3.bin is there twice"),
        ("python", "binary"),
    ],
)
def test_bad_cifar(cifar_files: Files, make_tar: MakeTar, tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(EwsError, match=message):
        cifar_binary.read(make_tar(tmp_path / "a.tar.gz", change_cifar(cifar_files, case)))


@pytest.mark.parametrize("form", ["tar.xz", "tar.gz", "zip", "folder"])
def test_image_folder_in_every_form(pictures: Files, make_tar: MakeTar, tmp_path: Path, form: str) -> None:
    extra = {"README.txt": b"hello", "train/.DS_Store": b"junk", "train/cat/._0.png": b"junk"}
    files = dict(reversed((pictures | extra).items()))  # order in the archive must not matter
    path = tmp_path / f"a.{form}"
    if form == "folder":
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif form == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in files.items():
                file.writestr(name, content)
    else:
        make_tar(path, {f"./{name}": content for name, content in files.items()}, mode=f"w:{form[4:]}")
    raw = image_folder.read(path)
    raw.check_trainable("pictures")
    assert raw.classes == ("cat", "dog")
    assert raw.train_labels.tolist() == [0] * 10 + [1] * 10 and raw.test_labels.tolist() == [0] * 3 + [1] * 3
    assert raw.train_images[:, 2, 1, 0].tolist() == [*range(10), *range(100, 110)]
    assert raw.test_images[:, 0, 0].tolist() == [[100 * row + n, 50 + n, n + 9] for row in (0, 1) for n in range(3)]


def link(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("../evil.png", b"x"),
        ("train/cat/../../../evil.png", b"x"),
        ("/tmp/evil.png", b"x"),
        ("train/cat/link.png", link(tarfile.SYMTYPE)),
        ("train/cat/hard.png", link(tarfile.LNKTYPE, "train/cat/0.png")),
        ("train/cat/device.png", link(tarfile.CHRTYPE)),
        ("train/cat/pipe.png", link(tarfile.FIFOTYPE)),
    ],
)
def test_dishonest_members_are_refused_and_nothing_is_written(
    pictures: Files, make_tar: MakeTar, tmp_path: Path, name: str, member: bytes | tarfile.TarInfo
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = make_tar(folder / "a.tar.gz", pictures | {name: member})
    with pytest.raises(EwsError, match="refused") as caught:
        image_folder.read(path)
    assert name in str(caught.value)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def test_a_link_in_a_zip_is_refused(pictures: Files, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("train/cat/link.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(EwsError, match="link or a device"):
        image_folder.read(tmp_path / "a.zip")


def test_a_huge_member_is_refused_before_it_is_read(
    pictures: Files, make_tar: MakeTar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 1000)
    path = make_tar(tmp_path / "a.tar.gz", pictures | {"train/cat/big.png": b"0" * 1001})
    with pytest.raises(EwsError, match=r"big\.png' is 1001 bytes long"):
        image_folder.read(path)


def test_a_corrupt_image_is_named(pictures: Files, make_tar: MakeTar, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "JPEG")
    for number, damaged in enumerate((b"", b"no image", buffer.getvalue()[:600], pictures["test/dog/1.png"][:40])):
        path = make_tar(tmp_path / f"{number}.tar.gz", pictures | {"test/dog/1.png": damaged})
        with pytest.raises(EwsError, match=r"test/dog/1\.png: not a readable picture"):
            image_folder.read(path)


def test_formats_that_start_programs_are_not_decoded(pictures: Files, make_tar: MakeTar, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "EPS")
    path = make_tar(tmp_path / "a.tar.gz", pictures | {"train/cat/0.png": buffer.getvalue()})
    with pytest.raises(EwsError, match=r"train/cat/0\.png: not a readable picture \(of no known format"):
        image_folder.read(path)


def test_layout_mistakes_are_named(pictures: Files, make_tar: MakeTar, make_png: MakePng, tmp_path: Path) -> None:
    image = make_png((1, 2, 3))
    cases: list[tuple[Files, str]] = [
        (pictures | {"train/bird/0.png": image}, "only in train: bird; only in test: -"),
        (pictures | {"test/bird/0.png": image}, "only in train: -; only in test: bird"),
        (pictures | {"val/cat/0.png": image}, "has both test/ and val/"),
        (pictures | {"valid/cat/0.png": image}, "valid/cat/0.png is out of place"),
        (pictures | {"train/cat/more/0.png": image}, "train/cat/more/0.png is out of place"),
        (pictures | {"train/0.png": image}, "train/0.png is out of place"),
        (pictures | {"./train/cat/0.png": image}, "train/cat/0.png is there twice"),
        ({name: data for name, data in pictures.items() if name.startswith("train")}, "no images under test/"),
        (pictures | {"train/dog/5.png": make_png((1, 2, 3), size=(5, 4))}, "train/dog/5.png is 5x4 pixels"),
        (pictures | {"train/dog/5.png": make_png(9000, mode="I;16")}, "train/dog/5.png: has more than 8 bits"),
    ]
    for number, (files, message) in enumerate(cases):
        with pytest.raises(EwsError, match=message):
            image_folder.read(make_tar(tmp_path / f"{number}.tar.gz", files))


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz"])
def test_a_damaged_archive_is_named(pictures: Files, make_tar: MakeTar, tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).bytes(200_000)  # does not compress, so that a cut lies within a member
    path = make_tar(tmp_path / name, {"train/cat/a.png": noise} | pictures, mode=f"w:{name[-2:]}")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(EwsError, match=f"{name}: damaged, or not an archive"):
        image_folder.read(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(EwsError, match="not an archive"):
        image_folder.read(path)
    with pytest.raises(EwsError, match="no such file"):
        image_folder.read(tmp_path / "none")


def test_image_size_scales_and_crops_about_the_centre(make_tar: MakeTar, tmp_path: Path) -> None:
    def striped(width: int, height: int) -> bytes:
        # Left and right quarters black, the middle white: a centred square crop of 2:1 is all white.
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        pixels[:, width // 4 : width - width // 4] = 255
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    files = {f"{split}/{name}/0.png": striped(64, 32) for split in ("train", "test") for name in "ab"}
    files["train/a/1.png"] = striped(128, 64)
    raw = image_folder.read(make_tar(tmp_path / "a.tar.gz", files), image_size=16)
    assert raw.train_images.shape == (3, 16, 16, 3)
    assert np.all(raw.train_images[:, :, 1:-1] == 255)


def lay(folder: Path, files: Files) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_val_is_a_name_of_the_test_split(pictures: Files, make_tar: MakeTar, tmp_path: Path, form: str) -> None:
    def made(files: Files, name: str) -> Path:
        return lay(tmp_path / name, files) if form == "folder" else make_tar(tmp_path / f"{name}.tar.gz", files)

    renamed = {name.replace("test/", "val/"): content for name, content in pictures.items()}
    expected = image_folder.read(made(pictures, "a"))
    np.testing.assert_array_equal(image_folder.read(made(renamed, "b")).test_images, expected.test_images)
    both = made(pictures | {"val/cat/0.png": pictures["train/cat/0.png"]}, "c")
    with pytest.raises(EwsError, match=r"has both test/ and val/. Set test_split"):
        image_folder.read(both)
    np.testing.assert_array_equal(image_folder.read(both, test_split="test").test_images, expected.test_images)
    with pytest.raises(EwsError, match="only in train: dog; only in val: -"):
        image_folder.read(both, test_split="val")
    with pytest.raises(EwsError, match="no images under val/"):
        image_folder.read(made(pictures, "d"), test_split="val")


@pytest.mark.parametrize("linked", ["class", "split", "picture"])
def test_links_in_a_folder_are_followed(pictures: Files, tmp_path: Path, linked: str) -> None:
    folder = lay(tmp_path / "in", pictures)
    expected = image_folder.read(folder)
    moved = {"class": "train/dog", "split": "train", "picture": "train/dog/3.png"}[linked]
    (folder / moved).rename(tmp_path / "elsewhere")
    (folder / moved).symlink_to(tmp_path / "elsewhere")
    raw = image_folder.read(folder)
    assert raw.classes == ("cat", "dog")
    np.testing.assert_array_equal(raw.train_images, expected.train_images)
    (folder / moved).unlink()
    (folder / moved).symlink_to(tmp_path / "nowhere")
    with pytest.raises(EwsError, match=f"{moved}: is a link that cannot be resolved"):
        image_folder.read(folder)


def test_an_empty_class_is_refused_or_left_out_by_name(pictures: Files, tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", pictures | {"train/bird/readme.txt": b"none yet"})
    (folder / "test/bird").mkdir()
    with pytest.raises(EwsError, match=r"without pictures \(2\): test/bird, train/bird.*allow_empty_classes"):
        image_folder.read(folder)
    assert image_folder.read(folder, allow_empty_classes=True).classes == ("cat", "dog")


def test_what_is_passed_over_is_counted(
    pictures: Files, make_tar: MakeTar, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    more = {
        "README.txt": b"",
        "cover.png": b"",
        "train/cat/.ipynb_checkpoints/0.png": b"",
        "train/cat/._0.png": b"",
        "train/cat/labels.csv": b"",
        "train/cat/LICENCE": b"",
    }
    image_folder.read(lay(tmp_path / "in", pictures | more))
    said = capsys.readouterr().err
    assert "passed over: 1 without an ending, 1 .csv, 1 .txt, 2 hidden, 1 beside the splits." in said
    image_folder.read(make_tar(tmp_path / "a.tar", pictures | more, mode="w"))
    assert "1 .csv" in capsys.readouterr().err


def test_all_bad_images_are_named_at_once(pictures: Files, tmp_path: Path) -> None:
    bad = {"train/cat/4.png": b"", "test/dog/2.png": pictures["test/dog/2.png"][:50]}
    with pytest.raises(EwsError, match="2 files or folders cannot be used") as caught:
        image_folder.read(lay(tmp_path / "in", pictures | bad))
    assert "train/cat/4.png: not a readable" in str(caught.value) and "test/dog/2.png: not a r" in str(caught.value)


def test_images_are_turned_as_by_the_other_commands(pictures: Files, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    raw = image_folder.read(lay(tmp_path / "in", pictures | {"train/cat/0.png": buffer.getvalue()}))
    np.testing.assert_array_equal(raw.train_images[0], np.rot90(pixels, -1))
