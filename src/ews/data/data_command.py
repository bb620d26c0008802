"""Command line of the data step: ``ews data prepare --dataset digits --source digits ... --out data/digits``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ews.core.command_line import Caches, Parser, Reads, ReadsText, Writes
from ews.core.fingerprint import check_fingerprint, fingerprint
from ews.core.option_types import validation_share
from ews.data.prepare import prepare
from ews.data.reader_registry import READERS
from ews.data.sources import find
from ews.images.picture_faults import listed_in_full


def code_of(kind: str) -> str:
    """Return the fingerprint of the code that prepares a dataset of a source of that kind."""
    return fingerprint("ews.data.data_command", [READERS[kind].implementation])


def main(argv: Sequence[str]) -> None:
    """Prepare one dataset and say what it consists of."""
    parser = Parser(prog="ews data prepare", description=prepare.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--source", required=True, help="its source in the manifest")
    parser.add_argument(
        "--validation", required=True, type=validation_share, help="part of the training images set apart"
    )
    parser.add_argument("--manifest", type=Reads(), help="the only sources.yaml to read (default: docs/data.md)")
    parser.add_argument(
        "--mirror", type=ReadsText(), help="folder or URL that has the archive; EWS_MIRROR is tried next"
    )
    parser.add_argument("--downloads", type=Caches(), default=Path("data/.downloads"), help="cache of archives")
    parser.add_argument("--out", required=True, type=Writes(), help="folder to write")
    parser.add_argument("--fingerprint", metavar="HEX", help="refuse to run if the code is not this one")
    arguments = parser.parse_args(argv)
    kind = find(arguments.manifest, arguments.source).kind
    check_fingerprint(arguments.fingerprint, code_of(kind), where=str(arguments.out))
    with listed_in_full():
        info = prepare(
            dataset=arguments.dataset,
            source=arguments.source,
            validation=arguments.validation,
            manifest=arguments.manifest,
            downloads=arguments.downloads,
            out=arguments.out,
            mirror=arguments.mirror,
        )
    print(
        f"{arguments.out}: {info.train} training images ({info.validation} of them for validation), "
        f"{info.test} test images, {len(info.classes)} classes, {info.image_size}x{info.image_size} pixels"
    )
