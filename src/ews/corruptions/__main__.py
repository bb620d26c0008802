"""The command ``python -m ews.corruptions``: corrupted sets of a dataset, of a folder or of an array."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from ews.corruptions import NAMES, PROFILES
from ews.corruptions.generate import generate, labels
from ews.errors import run
from ews.registry import lookup

# Looked up by name: what these do has no part in a generated set, so that editing them makes none anew.
TOOLS = {
    "folder": "ews.corruptions.folder:main",
    "npy": "ews.corruptions.npy:main",
    "sheet": "ews.corruptions.sheet:main",
}


def main() -> None:
    """Read the command line and run the command."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in TOOLS:
        lookup(TOOLS, arguments[0], kind="command")(arguments[1:])
        return
    parser = ArgumentParser(
        prog="python -m ews.corruptions",
        description="Corrupt images as CIFAR-10-C, Tiny-ImageNet-C and ImageNet-C do, seeded per image.",
        epilog="  folder            corrupt a folder of pictures of any size (own --help)\n"
        "  npy               corrupt an .npy of images (own --help)\n"
        "  sheet             draw every corruption at every severity (own --help)",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("generate", help="corrupt a dataset's test images, 5 severities in blocks")
    one.add_argument("--data", type=Path, required=True, help="the dataset's folder, e.g. data/digits")
    one.add_argument("--name", choices=NAMES, required=True, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    one.add_argument("--seed", type=int, required=True, help="any integer; the same seed gives the same bytes")
    one.add_argument("--profile", choices=PROFILES, required=True, help="whose constants")
    one.add_argument("--out", type=Path, required=True, help="file to write, e.g. data/digits-c/fog.npy")
    one.add_argument("--workers", type=int, default=1, help="processes; changes no byte of the result")
    one.add_argument("--fingerprint", help="code fingerprint from planning; refused if the code has changed")
    two = commands.add_parser("labels", help="write the labels of the corrupted sets")
    two.add_argument("--data", type=Path, required=True, help="the dataset's folder, e.g. data/digits")
    two.add_argument("--out", type=Path, required=True, help="file to write, e.g. data/digits-c/labels.npy")
    options = vars(parser.parse_args(arguments))
    if options.pop("command") == "generate":
        generate(**options)
    else:
        labels(**options)


if __name__ == "__main__":
    run(main)
