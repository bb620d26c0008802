"""The command ``ews perturb``: perturbation sequences of an array of images, and a sheet of them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ews.core.arrays import check_output
from ews.core.command_line import Parser, Reads, Writes
from ews.core.option_types import WORKERS
from ews.corruptions.profiles import profile_for
from ews.images.reading import open_images
from ews.perturbations import NAMES, PROFILES
from ews.pipeline.perturb.generate_perturbed import generate
from ews.pipeline.perturb.perturbation_sheet import save

FILES = tuple(f"{name}{ending}" for name in NAMES for ending in (".npy", ".json"))


def main(words: Sequence[str]) -> None:
    """Read the command line and run the command."""
    parser = Parser(
        prog="ews perturb",
        description="Make the sequences of CIFAR-10-P and ImageNet-P for any images, seeded per image.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("generate", help="write <out>/<name>.npy, uint8 [N, T, H, W, 3], for each perturbation")
    one.add_argument("--out", type=Writes(files=FILES), required=True, help="folder to write")
    one.add_argument("--seed", type=int, required=True, help="any integer; the same seed gives the same bytes")
    one.add_argument(
        "--names", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME",
        help=f"default: all; valid: {' '.join(NAMES)}",
    )  # fmt: skip
    one.add_argument(
        "--workers", type=WORKERS, default=1, help="processes, 0: only this one; changes no byte of the result"
    )
    two = commands.add_parser("sheet", help="draw frames of every perturbation in one picture, to be looked at")
    two.add_argument("--out", type=Writes(), required=True, help="picture to write, .png")
    two.add_argument("--seed", type=int, default=0, help="any integer (default: %(default)s)")
    for command in (one, two):
        command.add_argument(
            "--images", type=Reads(), required=True, help=".npy, uint8 [N, H, W, 3], e.g. data/digits/test_images.npy"
        )
        command.add_argument("--profile", choices=PROFILES, help="whose constants; default: by the frames' size")
        command.add_argument("--crop", type=int, help="cut frames to a central square; ImageNet-P: 256 pixels to 224")
    options = parser.parse_args(words)
    profile = options.profile or _choose(options.images, options.crop)
    if options.command == "sheet":
        save(options.images, options.out, seed=options.seed, profile=profile, crop=options.crop)
        return
    for name in options.names:
        check_output(options.out / f"{name}.npy", inputs=[options.images])
    for name in options.names:
        generate(
            options.images,
            options.out / f"{name}.npy",
            name=name,
            seed=options.seed,
            profile=profile,
            crop=options.crop,
            workers=options.workers,
        )


def _choose(images: Path, crop: int | None) -> str:
    height, width = open_images(images).shape[1:3]
    side = min(height, width) if crop is None else crop
    profile = profile_for(side, side)
    print(f"{side} pixels: the {profile} constants; --profile takes others.", file=sys.stderr)
    return profile
