"""What the commands on anyone's images share: options, constants by size, a trial before anything is written."""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable

import numpy as np

from ews.core.command_line import Parser, Writes
from ews.core.option_types import WORKERS
from ews.corruptions import BENCHMARK, NAMES, PROFILES, corrupt
from ews.corruptions.corrupt_images import SMALLEST_SIDE
from ews.corruptions.profiles import profile_for


def command_parser(command: str, description: str, *, files: tuple[str, ...] = ()) -> Parser:
    """Return a parser with what both commands take; ``files``: of :class:`Writes`."""
    parser = Parser(
        prog=f"ews corrupt {command}",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Writes(files=files), required=True, help="folder to write")
    parser.add_argument("--seed", type=int, required=True, help="any integer; the same seed gives the same bytes")
    parser.add_argument(
        "--names",
        nargs="+",
        metavar="NAME",
        choices=NAMES,
        default=list(BENCHMARK),
        help=f"default: the 15 of the benchmark; valid: {' '.join(NAMES)}",
    )
    parser.add_argument("--profile", choices=PROFILES, help="whose constants; default: by the images' size")
    parser.add_argument(
        "--workers", type=WORKERS, default=1, help="processes, 0: only this one; changes no byte of the result"
    )
    return parser


def choose(height: int, width: int) -> str:
    """Return the constants for images of H x W pixels, and say which."""
    profile = profile_for(height, width)
    print(f"{width} x {height} pixels: the {profile} constants; --profile takes others.", file=sys.stderr)
    return profile


def try_all(names: Iterable[str], severities: Iterable[int], *, seed: int, profile: str) -> None:
    """Corrupt a small image in every way, before anything is written: frost's photographs may be missing."""
    small = np.zeros((1, SMALLEST_SIDE, SMALLEST_SIDE, 3), np.uint8)
    for name in names:
        for severity in severities:
            corrupt(small, name=name, severity=severity, seed=seed, profile=profile)
