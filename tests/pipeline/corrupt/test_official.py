"""Published corrupted sets, from a server to checked files - and what is refused on the way."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ews.core import finished
from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.corruptions import NAMES
from ews.data.cifar_c import read
from ews.data.dataset import load
from ews.data.prepare import prepare
from ews.data.sources import read_manifest
from ews.pipeline.corrupt import official
from ews.pipeline.corrupt.official import decode, extract
from ews.pipeline.evaluate.corruption.corrupted_images import Stored
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptedImages
from ews.pipeline.study.schema import OFFICIAL

SHIPPED = Path(__file__).parents[3] / "data" / "sources.yaml"
COUNT = 20  # test images of the small CIFAR-10
Files = dict[str, bytes | tarfile.TarInfo]


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def corrupted(seed: int, *, count: int = 5 * COUNT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def official_files() -> Files:
    """The members of a small CIFAR-10-C: labels as the published ones, of 8 bits."""
    labels = np.tile(np.arange(COUNT) % 10, 5).astype(np.uint8)
    return {
        "CIFAR-10-C/fog.npy": npy(corrupted(1)),
        "CIFAR-10-C/labels.npy": npy(labels),
        "CIFAR-10-C/README.txt": b"read me",
        "CIFAR-10-C/snow.npy": npy(corrupted(2)),
    }


class Setting:
    """A prepared small CIFAR-10 and a server with its corrupted set."""

    def __init__(self, folder: Path, server: Any, make_tar: Callable[..., Path], cifar_files: Files) -> None:
        self.folder, self.server, self.make_tar = folder, server, make_tar
        self.manifest = folder / "sources.yaml"
        self.entries: dict[str, Any] = {}
        clean = make_tar(folder / "cifar-10-binary.tar.gz", cifar_files).read_bytes()
        server.body = clean
        self.describe("small", "cifar_binary", "cifar-10-binary.tar.gz", clean)
        self.data = folder / "data" / "small"
        prepare(
            dataset="small", source="small", validation=0.1, manifest=self.manifest,
            downloads=folder / "downloads", out=self.data,
        )  # fmt: skip

    def describe(self, name: str, kind: str, file: str, body: bytes) -> None:
        checksum = [f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}" for algorithm in ("md5", "sha256")]
        self.entries[name] = {"title": file, "kind": kind, "file": file, "size": len(body), "checksum": checksum}
        self.entries[name] |= {"url": [f"{self.server.address}/{file}"], "licence": "none", "citation": "none"}
        self.manifest.write_text(yaml.safe_dump(self.entries))

    def publish(self, files: Files, *, described: Callable[[bytes], bytes] = lambda body: body) -> None:
        """Serve an archive; ``described`` is what the manifest takes it for."""
        body = self.make_tar(self.folder / "made.tar", files, "w").read_bytes()
        self.server.body = body
        self.describe("small_c", "cifar_c", "CIFAR-10-C.tar", described(body))

    def extract(self, name: str = "fog", *, source: str = "small_c", managed: bool = False) -> Path:
        out = self.folder / "data" / "small-c-official" / f"{name}.npy"
        extract(
            data=self.data, source=source, manifest=self.manifest, downloads=self.folder / "downloads", name=name,
            out=out, managed=managed,
        )  # fmt: skip
        return out

    @property
    def written(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "data" / "small-c-official").rglob("*"))


@pytest.fixture
def setting(
    tmp_path: Path,
    server: Any,
    make_tar: Callable[..., Path],
    cifar_files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> Setting:
    monkeypatch.setattr("ews.data.download.LONGEST_WAIT", 0.01)
    return Setting(tmp_path, server, make_tar, cifar_files)


def test_files_are_taken_out_one_by_one_and_fit_the_evaluation(setting: Setting) -> None:
    setting.publish(official_files())
    asked = len(setting.server.seen)
    fog, labels = setting.extract("fog"), setting.extract("labels")
    assert len(setting.server.seen) == asked + 1  # the archive is cached
    assert setting.written == ["fog.json", "fog.npy", "labels.json", "labels.npy"]
    np.testing.assert_array_equal(np.load(fog), corrupted(1))
    assert np.load(labels).dtype == np.int64
    # As the evaluation reads it, with all its checks.
    stored = Stored(fog.parent, ["fog"], dataset=load(setting.data), seed=None, profile=None)
    (batches,) = stored.blocks([("fog", 3)], indices=np.array([4, 7]))
    np.testing.assert_array_equal(np.concatenate(list(batches)), corrupted(1)[2 * COUNT + np.array([4, 7])])
    assert stored.about("fog") == CorruptedImages(source="official", sha256=sha256(fog))


def test_the_record_says_what_it_is(setting: Setting) -> None:
    setting.publish(official_files())
    fog = setting.extract("fog")
    record = json.loads(fog.with_suffix(".json").read_text())
    archive = (setting.folder / "downloads" / "CIFAR-10-C.tar").read_bytes()
    assert (record["source"], record["corruption"], record["images"]) == ("official", "fog", COUNT)
    assert record["sha256"] == sha256(fog)
    assert f"sha256:{hashlib.sha256(archive).hexdigest()}" in record["archive"]["checksum"]


def test_a_column_major_array_has_the_same_pixels(setting: Setting) -> None:
    setting.publish(official_files() | {"CIFAR-10-C/fog.npy": npy(np.asfortranarray(corrupted(3)))})
    np.testing.assert_array_equal(np.load(setting.extract()), corrupted(3))


def test_files_in_deeper_folders_are_others(setting: Setting) -> None:
    setting.publish(official_files() | {"CIFAR-10-C/old/fog.npy": npy(corrupted(4))})
    np.testing.assert_array_equal(np.load(setting.extract()), corrupted(1))


def test_a_truncated_download_is_resumed(setting: Setting) -> None:
    setting.publish(official_files())
    setting.server.plan = ["break 50000"]
    assert setting.extract().is_file()
    assert setting.server.seen[-1] == "bytes=50000-"


PICKLED = np.array([{"an": "object"}] * 5 * COUNT, dtype=object)
HUGE = npy(corrupted(1)).replace(b"(100, 32, 32, 3)", b"(1000000000000,)")


def link(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels.npy": npy(np.zeros(5 * COUNT, np.uint8))}, r"not the test labels .* entry 1 is 0, not 1"),
        ({"labels.npy": npy(np.tile(np.arange(COUNT) % 10, 4))}, r"labels\.npy: is int64 \[80\]; .*\[100\]"),
        ({"labels.npy": npy(np.zeros(5 * COUNT))}, r"labels\.npy: is float64"),
        ({"labels.npy": None}, r"labels\.npy missing\. There: fog, snow"),
        ({"fog.npy": None}, r"fog\.npy missing\. There: labels, snow"),
        ({"fog.npy": npy(PICKLED, allow_pickle=True)}, r"fog\.npy: holds pickled objects"),
        ({"fog.npy": npy(corrupted(1).astype(np.int8))}, r"fog\.npy: is int8 \[100, 32, 32, 3\]"),
        ({"fog.npy": npy(corrupted(1, count=COUNT))}, r"fog\.npy: is uint8 \[20, 32, 32, 3\]; .*\[100, 32, 32, 3\]"),
        ({"fog.npy": npy(corrupted(1))[:-1]}, r"fog\.npy: damaged"),
        ({"fog.npy": npy(corrupted(1)) + b"x"}, r"fog\.npy: damaged: longer"),
        ({"fog.npy": b"\x80\x04K\x01."}, r"fog\.npy: damaged, or not an \.npy file"),
        ({"fog.npy": HUGE}, r"fog\.npy: is uint8 \[1000000000000\]"),
        ({"../../escaped.npy": b"x"}, r"leads outside the archive"),
        ({"/tmp/escaped.npy": b"x"}, r"leads outside the archive"),
        ({"snow.npy": link("/etc/passwd")}, r"is a link or a device"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_bad_archive_is_refused_and_nothing_is_written(
    setting: Setting, change: dict[str, bytes | None], message: str
) -> None:
    """Even of an archive whose checksum is right: the manifest may describe the wrong one."""
    files: Files = official_files()
    for name, content in change.items():
        key = name if name.startswith(("/", "..")) else f"CIFAR-10-C/{name}"
        if content is None:
            del files[key]
        else:
            files[key] = content
    setting.publish(files)
    with pytest.raises(EwsError, match=message):
        setting.extract()
    assert setting.written == []
    assert not Path("/tmp/escaped.npy").exists()


def test_a_file_that_is_there_twice_is_refused(setting: Setting) -> None:
    setting.publish({**official_files(), "Other/fog.npy": npy(corrupted(5))})
    with pytest.raises(EwsError, match=r"fog\.npy is there twice"):
        setting.extract()


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (lambda body: body[:-1] + b"x", "wrong checksum: expected md5 "),
        (lambda body: body + b"more", "wrong size"),
    ],
)
def test_another_archive_than_the_manifests_is_refused(
    setting: Setting, described: Callable[[bytes], bytes], message: str
) -> None:
    setting.publish(official_files(), described=described)
    with pytest.raises(EwsError, match=message):
        setting.extract()
    assert setting.written == []
    assert not (setting.folder / "downloads" / "CIFAR-10-C.tar").exists()


def test_an_archive_that_was_cut_before_it_was_described(setting: Setting) -> None:
    setting.publish(official_files())
    body = setting.server.body[:200_000]
    setting.server.body = body
    setting.describe("small_c", "cifar_c", "CIFAR-10-C.tar", body)
    with pytest.raises(EwsError, match="damaged"):
        setting.extract()
    assert setting.written == []


def test_a_source_of_another_kind_is_refused(setting: Setting) -> None:
    with pytest.raises(EwsError, match=r"small: is of kind cifar_binary, not cifar_c"):
        setting.extract(source="small")
    with pytest.raises(EwsError, match=r"corrupted: \{source: official"):
        read(Path("CIFAR-10-C.tar"))
    setting.publish(official_files())
    with pytest.raises(EwsError, match="a corrupted test set is no dataset"):
        prepare(
            dataset="x", source="small_c", validation=0.1, manifest=setting.manifest,
            downloads=setting.folder / "downloads", out=setting.folder / "x",
        )  # fmt: skip


def test_wrong_arguments_are_found_out_before_anything_is_fetched(setting: Setting) -> None:
    setting.publish(official_files())
    setting.describe("other_c", "cifar_c", "OTHER-C.tar", setting.server.body)
    asked = len(setting.server.seen)
    with pytest.raises(EwsError, match=r"unknown corruption 'fgo'\. Did you mean 'fog'\?.* labels"):
        setting.extract("fgo")
    with pytest.raises(EwsError, match=r"made of the source 'small', whose .* would be small_c"):
        setting.extract(source="other_c")
    options = {
        "data": setting.data, "source": "small_c", "manifest": setting.manifest, "name": "fog",
        "downloads": setting.folder / "downloads",
    }  # fmt: skip
    with pytest.raises(EwsError, match=r"must end in \.npy"):
        extract(**options, out=setting.folder / "fog")
    before = (setting.data / "test_images.npy").read_bytes()
    with pytest.raises(EwsError, match="would overwrite"):
        extract(**options, out=setting.data / "test_images.npy")
    assert (setting.data / "test_images.npy").read_bytes() == before
    assert len(setting.server.seen) == asked
    assert setting.written == []


@pytest.mark.filterwarnings("ignore")  # of Python's parser, about what the damaged headers spell
def test_a_flipped_bit_in_an_arrays_header_never_ends_in_a_traceback() -> None:
    whole = npy(corrupted(1))
    refused = 0
    for place in range(8 * 128):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        try:
            array = decode(Path("x.tar"), "fog", bytes(content), kinds="B", shape=(5 * COUNT, 32, 32, 3))
        except EwsError as error:
            refused += 1
            assert str(error).startswith("x.tar: fog.npy: ")
        else:
            np.testing.assert_array_equal(array, corrupted(1))
    assert refused > 4 * 128


def test_the_shipped_manifest_has_every_official_set() -> None:
    sources = read_manifest(SHIPPED)
    for name in OFFICIAL:
        entry = sources[f"{name}_c"]
        assert entry.kind == "cifar_c"
        assert entry.url[0].startswith("https://zenodo.org/")
        assert {text.partition(":")[0] for text in entry.checksum} == {"md5", "sha256"}
        assert (entry.test, entry.classes) == (sources[name].test, sources[name].classes)
        # 19 corruptions and the labels, rounded up to the blocks that tar writes.
        content = len(NAMES) * 5 * 10000 * 32 * 32 * 3
        assert content < entry.size < content + 2**17
    assert {name for name, entry in sources.items() if entry.kind == "cifar_c"} == {f"{name}_c" for name in OFFICIAL}


def test_a_set_that_is_deleted_at_its_end_is_not_taken_out_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a workflow that was killed and did not see the end; of another dataset, or once let go, it is."""
    setting.publish(official_files())
    archives: list[Path] = []
    fetch = official.fetch

    def counted(*arguments: Any, **options: Any) -> Path:
        archives.append(fetch(*arguments, **options))
        return archives[-1]

    monkeypatch.setattr(official, "fetch", counted)
    out = setting.extract("fog", managed=True)
    written = [out, out.with_suffix(".json")]
    before = [path.read_bytes() for path in written]
    for path in written:
        path.unlink()
    setting.extract("fog", managed=True)
    assert [path.read_bytes() for path in written] == before and len(archives) == 1
    out.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(official, "code", lambda: "0123456789abcdef")
        setting.extract("fog", managed=True)
    assert len(archives) == 2
    finished.let_go(out)
    out.unlink()
    setting.extract("fog", managed=True)
    assert len(archives) == 3 and [path.read_bytes() for path in written] == before
