"""Corrupting anyone's ``.npy`` array of images: ``ews corrupt npy``."""

from collections.abc import Sequence

import numpy as np

from ews.core.arrays import check_output, read_labels, write_npy
from ews.core.command_line import Reads
from ews.corruptions import NAMES, SEVERITIES
from ews.images.reading import open_images
from ews.pipeline.corrupt.generate_corrupted import corrupt_file
from ews.pipeline.corrupt.own_images_options import choose, command_parser, try_all

FILES = ("labels.npy", *(f"{name}{ending}" for name in NAMES for ending in (".npy", ".json")))


def main(words: Sequence[str]) -> None:
    """Run ``ews corrupt npy``."""
    parser = command_parser(
        "npy", "Corrupt an array of images: one <out>/<name>.npy per corruption, published layout.", files=FILES
    )
    parser.add_argument("--images", type=Reads(), required=True, help=".npy file, uint8 [N, H, W, 3], RGB")
    parser.add_argument("--labels", type=Reads(), help=".npy file, integers [N]; written five times over to labels.npy")
    options = parser.parse_args(words)
    images = open_images(options.images)
    labels = read_labels(options.labels, count=len(images)) if options.labels else None
    inputs = [options.images, *([options.labels] if options.labels else [])]
    for name in (*options.names, *(["labels"] if options.labels else [])):
        check_output(options.out / f"{name}.npy", inputs=inputs)
    profile = options.profile or choose(*images.shape[1:3])
    try_all(options.names, SEVERITIES, seed=options.seed, profile=profile)
    for name in options.names:
        corrupt_file(
            options.images,
            options.out / f"{name}.npy",
            name=name,
            seed=options.seed,
            profile=profile,
            workers=options.workers,
            source=options.images.name,
        )
    if labels is not None:
        write_npy(options.out / "labels.npy", np.tile(labels, len(SEVERITIES)))
