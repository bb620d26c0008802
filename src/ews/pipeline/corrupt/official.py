"""Published corrupted test sets (CIFAR-10-C, CIFAR-100-C): ``ews corrupt official --name fog ... --out FILE``.

An archive of such a set has ``<corruption>.npy``, uint8 [5 N, H, W, 3] with the severities in blocks,
and ``labels.npy``, integers [5 N]. One of these is taken out at a time; nothing else is unpacked.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ews.core import finished
from ews.core.arrays import check_output, of_dataset, write_npy
from ews.core.command_line import Caches, Parser, Reads, ReadsText, Writes
from ews.core.documents import write_sealed
from ews.core.errors import EwsError, unknown
from ews.core.files import sha256, staged
from ews.core.fingerprint import check_fingerprint, fingerprint
from ews.core.partial import partial
from ews.corruptions import NAMES
from ews.data.archives import members
from ews.data.cifar_c import KIND
from ews.data.dataset import Dataset, load
from ews.data.download import fetch
from ews.data.sources import find

LABELS = "labels"
SEVERITIES = 5


def extract(
    *,
    data: Path,
    source: str,
    manifest: Path | None,
    downloads: Path,
    name: str,
    out: Path,
    mirror: str | None = None,
    managed: bool = False,
) -> dict[str, Any]:
    """Take one file of a published corrupted set, check that it belongs to the dataset, and write it.

    ``out`` and ``<out less .npy>.json`` beside it are written. The JSON says what it is: ``source``
    (``"official"``), ``sha256`` of the file, and the archive with its checksums.

    Args:
        data: the prepared dataset whose test images were corrupted, e.g. ``data/cifar10``.
        source: a source of kind ``cifar_c`` in the manifest: that of the dataset's own source and ``_c``.
        manifest: path of ``sources.yaml``; None: those that are there, :func:`ews.data.sources.manifests`.
        downloads: where archives are cached.
        name: a corruption, or ``"labels"``.
        out: the file to write, e.g. ``data/cifar10-c-official/fog.npy``: uint8 [5 N, H, W, 3] for N
            test images of H x W pixels; of ``"labels"`` int64 [5 N].
        mirror: a folder or a URL that has the archive; see :func:`ews.data.download.fetch`.
        managed: keep what is finished a second time until an evaluation begins, see :mod:`ews.core.finished`.

    Returns:
        What the JSON says.

    Raises:
        EwsError: an argument, the download or the archive is faulty, or the set belongs to other
            images; nothing is written. Or another process makes the same file.
    """
    if name not in (*NAMES, LABELS):
        raise unknown("corruption", name, (*NAMES, LABELS), where="--name")
    entry = find(manifest, source)
    if entry.kind != KIND:
        raise EwsError(f"source {source}: is of kind {entry.kind}, not {KIND}: no published corrupted set.")
    dataset = load(data)
    check_output(out, inputs=of_dataset(data))
    _check_source(source, dataset)
    record: dict[str, Any] = {
        "archive": {"name": source, **entry.model_dump(include={"title", "file", "size", "checksum", "citation"})},
        "corruption": None if name == LABELS else name,
        "dataset": dataset.name,
        "images": len(dataset.test_labels),
        "severities": list(range(1, SEVERITIES + 1)),
        "source": "official",
    }
    about = out.with_suffix(".json")
    identity = {**record, "data": dataset.checksum, "code": code()}
    with partial(out):
        before = finished.find(out, identity)
        if before is not None:
            before.place(keep=managed)
            return {**record, "sha256": sha256(out)}
        # What can be wrong with the arguments was found out above: this may fetch gigabytes.
        array = _checked(fetch(entry, downloads=downloads, mirror=mirror), dataset, name)
        if managed:
            with finished.finishing(out, identity, keep=True) as folder:
                record["sha256"] = write_npy(folder / out.name, array)
                write_sealed(folder / about.name, record)
        else:
            with staged(out.parent, last=about.name) as new:
                record["sha256"] = write_npy(new / out.name, array)
                write_sealed(new / about.name, record)
    return record


def code() -> str:
    """Return the fingerprint of the code that takes a set out of its archive."""
    return fingerprint("ews.pipeline.corrupt.official")


def _check_source(source: str, dataset: Dataset) -> None:
    """Refuse a published set that is of another source's test images than the dataset's.

    Raises:
        EwsError: it is, or the dataset does not say where its images are from.
    """
    own = dataset.info.source.name
    if source != f"{own}_c":
        raise EwsError(
            f"--source {source}: {dataset.folder} was made of the source {own!r}, whose published corrupted set would "
            f"be {own}_c. Other test images, or the same in another coding, have other corruptions."
        )


def _checked(archive: Path, dataset: Dataset, name: str) -> NDArray[Any]:
    """Return one array of the archive, after comparing its labels and shapes with the dataset's test set."""
    found: dict[str, bytes] = {}
    there: list[str] = []
    # To the end, so that one bad member anywhere spoils the archive.
    for path, content in members(archive):
        folder, _, file = path.rpartition("/")
        stem = file.removesuffix(".npy")
        if stem == file or "/" in folder:
            continue
        there.append(stem)
        if stem not in (name, LABELS):
            continue
        if stem in found:
            raise EwsError(f"{archive}: {file} is there twice.")
        found[stem] = content()
    missing = [f"{stem}.npy" for stem in dict.fromkeys((LABELS, name)) if stem not in found]
    if missing:
        raise EwsError(f"{archive}: {', '.join(missing)} missing. There: {', '.join(sorted(there)) or 'no .npy file'}.")
    count, blocks = len(dataset.test_labels), SEVERITIES
    labels = decode(archive, LABELS, found.pop(LABELS), kinds="iu", shape=(blocks * count,)).astype(np.int64)
    expected = np.tile(dataset.test_labels, blocks)
    if not np.array_equal(labels, expected):
        first = int(np.flatnonzero(labels != expected)[0])
        raise EwsError(
            f"{archive}: {LABELS}.npy is not the test labels of {dataset.folder} five times over: entry {first} is "
            f"{labels[first]}, not {expected[first]}. These are corruptions of other images, or in another order."
        )
    if name == LABELS:
        return labels
    return decode(archive, name, found[name], kinds="B", shape=(blocks * count, *dataset.test_images.shape[1:]))


def decode(archive: Path, stem: str, content: bytes, *, kinds: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read an ``.npy`` from memory; its header is checked before room is made for what it promises.

    Args:
        archive: where it is from, for messages.
        stem: its name there, less ``.npy``.
        content: the file.
        kinds: letters, each a NumPy kind (``iu``) or type (``B`` for uint8), that are accepted.
        shape: the only one that is accepted.

    Raises:
        EwsError: it is damaged, or an array of another shape or type.
    """
    where = f"{archive}: {stem}.npy"
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise EwsError(f"{where}: format {version[0]}.{version[1]}; valid: 1.0 and 2.0.")
        found, _, dtype = readers[version](stream)
        if dtype.hasobject:
            raise EwsError(f"{where}: holds pickled objects, which could run code; it is refused.")
        if found != shape or not {dtype.kind, dtype.char} & set(kinds):
            what = "uint8" if kinds == "B" else "whole numbers"
            raise EwsError(f"{where}: is {dtype} {list(found)}; the dataset needs {what} {list(shape)}.")
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except EwsError:
        raise
    except Exception as error:
        # As in ews.core.arrays: what a damaged header raises depends on where it is damaged.
        raise EwsError(f"{where}: damaged, or not an .npy file ({' '.join(str(error).split())}).") from None
    if stream.read(1):
        raise EwsError(f"{where}: damaged: longer than its header says.")
    return array


def main(argv: Sequence[str]) -> None:
    """Read the command line and write one file."""
    parser = Parser(prog="ews corrupt official", description=extract.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", required=True, type=Reads(), help="the dataset's folder, e.g. data/cifar10")
    parser.add_argument("--source", required=True, help=f"the set's source in the manifest, of kind {KIND}")
    parser.add_argument("--name", required=True, help=f"a corruption, e.g. fog, or {LABELS}")
    parser.add_argument("--manifest", type=Reads(), help="the only sources.yaml to read (default: docs/data.md)")
    parser.add_argument(
        "--mirror", type=ReadsText(), help="folder or URL that has the archive; EWS_MIRROR is tried next"
    )
    parser.add_argument("--downloads", type=Caches(), default=Path("data/.downloads"), help="cache of archives")
    parser.add_argument("--out", required=True, type=Writes(), help="file to write, .npy")
    parser.add_argument("--fingerprint", metavar="HEX", help="refuse to run if the code is not this one")
    parser.add_argument("--managed", action="store_true", help=finished.MANAGED)
    options = vars(parser.parse_args(argv))
    check_fingerprint(options.pop("fingerprint"), code(), where=options["out"])
    record = extract(**options)
    print(f"{options['out']}: official, of {record['images']} test images, sha256 {record['sha256']}")
