"""Bytes that nobody thought of: a reader gives what was written, or refuses; it never fails and never gives another.

As long as ``EWS_FUZZ_SECONDS`` says, by default 10; each reader has its share.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.datasets import write_dataset
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ews.core import sums
from ews.core.arrays import read_labels, read_npy, read_npz
from ews.core.documents import read_document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.core.files import read_json, sha256
from ews.data import dataset
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.tables import Channel, Epoch, Timing, Update, read_rows
from ews.pipeline.corrupt.stored import SetRecord, read_record
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report import measurements, paired_images, study_rows, table
from ews.pipeline.report.inputs import Inputs, RunRecords
from ews.pipeline.report.report_command import main

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("EWS_FUZZ_SECONDS", "10"))
AGAIN = "Make it again."
EXAMPLES = 50
TOKENS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"0", b"1.5", b"9" * 5000, b"null", b"true", b"{}", b"[]"),
    *(
        b'"',
        b",",
        b":",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xe2\x80\xa8",
        b"\\ud800",
        b"[" * 2000,
        b'{"a":' * 2000,
    ),
    *(b"\x93NUMPY", b"PK\x03\x04", b"|O", b"<f8", b"(0,)", b"(-1,)", b"(9999999999999,)", b"True", b"\x0b", b"\x1c"),
)


@dataclass(frozen=True)
class Reader:
    """A reader of a file.

    Attributes:
        path: the file.
        read: returns what it holds, to be compared.
        vouched: whether something vouches for the file, so that no other value may come out.
    """

    path: Path
    read: Callable[[], Any]
    vouched: bool = True


Edit = tuple[str, float, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(("flip", "replace", "insert", "delete", "cut", "repeat", "swap")),
        st.floats(0, 1),
        st.floats(0, 1),
        st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """Return the bytes after some edits; places and lengths are given as shares."""
    for what, place, length, token in edits:
        start = min(int(place * len(content)), max(len(content) - 1, 0))
        end = start + 1 + int(length**4 * (len(content) - start))
        part = content[start:end]
        new = {
            "flip": bytes([part[0] ^ (1 << int(length * 7.99))]) + part[1:] if part else b"",
            "replace": token,
            "insert": token + part,
            "delete": b"",
            "repeat": part + part,
            "swap": part[::-1],
        }
        content = content[:start] if what == "cut" else content[:start] + new[what] + content[end:]
    return content


def plain(value: Any) -> Any:
    """Return arrays as bytes with type and shape, so that values can be compared."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value


@pytest.fixture
def readers(grow: Callable[..., Any], tmp_path: Path) -> dict[str, Reader]:
    tree = grow(augmentations=("standard",), methods=("vanilla", "ews"), seeds=(0,), epochs=3)
    run = tree.folder(1)
    timing = run / "timing.csv"
    timing.write_text("epoch,seconds,images_per_second,start,threads,processor_seconds\n1,2.5,10.0,1,1,2.25\n")
    np.savez_compressed(run / "clean.npz", prediction=np.arange(40), confidence=np.linspace(0, 1, 40))
    tree.seal()
    names = {"out": "measurements.csv", "records": "records.json", "metrics": "metrics.json"}
    words = [word for name, file in names.items() for word in (f"--{name}", str(tree.out / file))]
    main(["measure", "--study", str(tree.study), "--runs", str(tree.runs), *words])
    images = tree.out / "images.csv"
    images.write_text(
        "dataset,architecture,augmentation,method,reference,metric,difference,low,high,images,copies,seeds\n"
        "digits,resnet8,standard,ews,vanilla,clean error,-1.5,-2.5,-0.5,1000,1,1\n"
        "digits,resnet8,standard,ews,vanilla,corruption error,-1.5,-2.5,-0.5,1000,75,1\n"
    )
    listed = [tree.study, *(tree.out / name for name in names.values()), images]
    sums.write(tree.out, listed)
    manifest = study_rows.load(tree.study)
    entry = manifest.entries[1]
    pixels = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    labels = np.array([0, 1])
    arrays = {"train_images": pixels, "train_labels": labels, "test_images": pixels, "test_labels": labels}
    data = write_dataset(tmp_path / "few", {**arrays, "validation": np.empty(0, np.int64)}, classes=["a", "b"])
    stored = {"sha256": "0" * 64, "corruption": "fog", "images_sha256": "1" * 64, "seed": 0, "profile": "cifar"}
    write_sealed(tmp_path / "fog.json", stored)
    loose = tmp_path / "loose"
    loose.mkdir()
    np.save(loose / "images.npy", pixels)
    np.save(loose / "labels.npy", labels)

    def opened() -> FinishedRun:
        return FinishedRun.open(run)

    def measured(path: Path, read: Callable[[], Any]) -> Reader:
        def held() -> Any:
            sums.verify(tree.out, [path], remedy=AGAIN)
            return read()

        return Reader(path, held)

    def whole() -> Any:
        found = dataset.load(data)
        return found.info, {name: plain(np.asarray(getattr(found, name))) for name in dataset.ARRAYS}

    def per_image() -> Any:
        inputs = Inputs(tree.runs)
        found = inputs.result(entry, "clean")
        assert found is not None
        return inputs.arrays(entry, found)

    found = {
        "record": Reader(run / "record.json", lambda: opened().record),
        "epochs": Reader(run / "epochs.csv", lambda: opened().epochs()),
        "timing": Reader(run / "timing.csv", lambda: read_rows(timing, Timing, remedy=AGAIN), vouched=False),
        "controller": Reader(run / "controller.csv", lambda: opened().controller()),
        "kept": Reader(run / "kept.csv", lambda: opened().kept()),
        "per image": Reader(run / "clean.npz", per_image),
        "study": Reader(tree.study, lambda: study_rows.load(tree.study)),
        "measurements": measured(listed[1], lambda: measurements.read(listed[1], manifest)),
        "records": measured(listed[2], lambda: table.read_records(listed[2], manifest)),
        "images": measured(images, lambda: paired_images.read(images, manifest)),
        "sums": Reader(tree.out / sums.SUMS, lambda: sums.verify(tree.out, listed, remedy=AGAIN)),
        "stored": Reader(tmp_path / "fog.json", lambda: read_record(tmp_path, "fog", images_sha256="1" * 64)),
        "loose json": Reader(listed[3], lambda: read_json(listed[3]), vouched=False),
        "loose document": Reader(listed[2], lambda: read_document(listed[2], RunRecords, remedy=AGAIN), vouched=False),
        "loose sealed": Reader(tmp_path / "fog.json", lambda: read_sealed(tmp_path / "fog.json", SetRecord, remedy="")),
        "loose npy": Reader(loose / "images.npy", lambda: read_npy(loose / "images.npy", mapped=False), vouched=False),
        "loose mapped": Reader(
            loose / "images.npy", lambda: read_npy(loose / "images.npy", mapped=True), vouched=False
        ),
        "loose labels": Reader(loose / "labels.npy", lambda: read_labels(loose / "labels.npy", count=2), vouched=False),
        "loose npz": Reader(run / "clean.npz", lambda: read_npz(run / "clean.npz"), vouched=False),
    }
    for kind in ("clean", "corruption"):
        spec = EVALUATIONS[kind]
        found[kind] = Reader(run / f"{kind}.json", lambda kind=spec.name: Inputs(tree.runs).result(entry, kind))
    for name in ("dataset.json", *(f"{name}.npy" for name in dataset.ARRAYS)):
        found[name] = Reader(data / name, whole)
    for name, kind in {"epochs": Epoch, "controller": Update, "kept": Channel}.items():
        path = run / f"{name}.csv"
        found[f"loose {name}"] = Reader(
            path, lambda path=path, kind=kind: read_rows(path, kind, remedy=AGAIN), vouched=False
        )
    return found


def test_every_reader_gives_what_was_written_or_refuses(
    readers: dict[str, Reader], record_property: Callable[[str, object], None]
) -> None:
    tried = {}
    for name, reader in readers.items():
        tried[name] = _fuzz(reader, seconds=SECONDS / len(readers))
    record_property("inputs", tried)
    print(f"{sum(tried.values())} inputs: {tried}")
    assert all(tried.values())


def _fuzz(reader: Reader, *, seconds: float) -> int:
    """Edit a file's bytes as long as is said; return how often it was read."""
    whole, digest = reader.path.read_bytes(), sha256(reader.path)
    expected = plain(reader.read())
    tried = 0

    def check(edits: list[Edit]) -> None:
        nonlocal tried
        tried += 1
        reader.path.write_bytes(edited(whole, edits))
        try:
            found = reader.read()
        except EwsError as error:
            assert str(error)
            return
        assert not reader.vouched or plain(found) == expected

    end = time.monotonic() + seconds
    try:
        for number in count():
            run = settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )(given(EDITS)(check))
            seed(number)(run)()
            if time.monotonic() >= end:
                return tried
        return tried
    finally:
        reader.path.write_bytes(whole)
        assert sha256(reader.path) == digest
