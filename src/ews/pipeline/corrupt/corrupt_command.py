"""The commands `ews corrupt generate` and `ews corrupt labels`: the corrupted set of a dataset's test images."""

from collections.abc import Sequence

from ews.core.command_line import Parser, Reads, Writes
from ews.core.finished import MANAGED
from ews.core.option_types import WORKERS
from ews.corruptions import NAMES, PROFILES
from ews.pipeline.corrupt.generate_corrupted import write_corrupted, write_labels


def generate(argv: Sequence[str]) -> None:
    """Run ``ews corrupt generate``."""
    parser = _parser("generate", "Corrupt a dataset's test images, 5 severities in blocks.", "data/digits-c/fog.npy")
    parser.add_argument("--name", choices=NAMES, required=True, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--seed", type=int, required=True, help="any integer; the same seed gives the same bytes")
    parser.add_argument("--profile", choices=PROFILES, required=True, help="whose constants")
    parser.add_argument(
        "--workers", type=WORKERS, default=1, help="processes, 0: only this one; changes no byte of the result"
    )
    parser.add_argument("--fingerprint", help="code fingerprint from planning; refused if the code has changed")
    parser.add_argument("--managed", action="store_true", help=MANAGED)
    write_corrupted(**vars(parser.parse_args(argv)))


def labels(argv: Sequence[str]) -> None:
    """Run ``ews corrupt labels``."""
    parser = _parser("labels", "Write the labels of a dataset's corrupted sets.", "data/digits-c/labels.npy")
    write_labels(**vars(parser.parse_args(argv)))


def _parser(command: str, description: str, example: str) -> Parser:
    parser = Parser(prog=f"ews corrupt {command}", description=description, allow_abbrev=False)
    parser.add_argument("--data", type=Reads(), required=True, help="the dataset's folder, e.g. data/digits")
    parser.add_argument("--out", type=Writes(), required=True, help=f"file to write, e.g. {example}")
    return parser
