"""Time every corruption beside the peer library, on the same images, in one run.

    python benchmarks/corruptions.py --images 200 --repeats 3 --set 10000 --workers 2 --out benchmarks/results

Per corruption: milliseconds per image, the median over the repeats of the mean over the five
severities, on one core. The peer (imagecorruptions-imaug, development dependencies) has the ImageNet
constants only, so it is timed with those at the same image size. Then the wall-clock time to write
the whole benchmark - 15 corruptions x 5 severities x ``--set`` images of 32 x 32 - with ``--workers``.
"""

import argparse
import importlib
import importlib.metadata
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import processor
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.corruptions import BENCHMARK, NAMES, SEVERITIES, corrupt
from ews.corruptions.profiles import profile_for
from ews.pipeline.corrupt.generate_corrupted import corrupt_file

# Seconds for 15 corruptions x 5 severities x 10,000 images at 32 x 32.
TARGET = 60.0


def photographs(count: int, side: int) -> NDArray[np.uint8]:
    """Return random parts of scikit-learn's two photographs, uint8 [count, side, side, 3]."""
    generator = np.random.default_rng(0)
    sources = load_sample_images().images
    parts = []
    for _ in range(count):
        source = sources[generator.integers(len(sources))]
        extent = int(generator.integers(160, 400))
        top, left = (int(generator.integers(limit - extent)) for limit in source.shape[:2])
        part = Image.fromarray(source[top : top + extent, left : left + extent])
        parts.append(np.array(part.resize((side, side), Image.Resampling.LANCZOS)))
    return np.stack(parts)


def milliseconds(task: Callable[[int], object], images: int, repeats: int) -> float:
    """Return milliseconds per image of ``task(severity)``, the median of ``repeats``."""
    for severity in SEVERITIES:
        task(severity)  # tables, kernels and compilers
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for severity in SEVERITIES:
            task(severity)
        times.append((time.perf_counter() - start) / (images * len(SEVERITIES)))
    return 1000 * statistics.median(times)


def compare(images: NDArray[np.uint8], *, peer_images: int, repeats: int) -> list[dict[str, Any]]:
    """Return name, own and peer milliseconds per image and their ratio, for every corruption."""
    try:
        peer = importlib.import_module("imagecorruptions")
    except ImportError as error:
        raise EwsError(
            f"the peer library cannot be imported ({error}). Install the development dependencies."
        ) from None
    profile = profile_for(*images.shape[1:3])
    rows = []
    for name in NAMES:

        def ours(severity: int, name: str = name) -> object:
            return corrupt(images, name=name, severity=severity, seed=0, profile=profile)

        def theirs(severity: int, name: str = name) -> object:
            return [peer.corrupt(image, severity=severity, corruption_name=name) for image in images[:peer_images]]

        own = milliseconds(ours, len(images), repeats)
        other = milliseconds(theirs, min(peer_images, len(images)), repeats)
        rows.append({"corruption": name, "package_ms": own, "peer_ms": other, "ratio": other / own})
        print(f"{name:20s} {own:8.3f} ms {other:8.3f} ms", file=sys.stderr)
    return rows


def whole_set(images: NDArray[np.uint8], workers: int) -> dict[str, float]:
    """Return the seconds to write each of the 15 sets to disk, their sum (``total``) and the processors' (``cpu``)."""
    seconds = {}
    before = _processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images.npy"
        np.save(source, images)
        for name in BENCHMARK:
            out = Path(folder) / f"{name}.npy"
            start = time.perf_counter()
            corrupt_file(source, out, name=name, seed=0, profile="cifar", workers=workers, source="benchmark")
            seconds[name] = time.perf_counter() - start
            out.unlink()
    seconds["total"] = sum(seconds.values())
    seconds["cpu"] = _processor_seconds() - before
    return seconds


def markdown(result: dict[str, Any]) -> str:
    """Return the result as a page."""
    wall, settings = result["whole_set_seconds"], result["settings"]
    side = settings["side"]
    lines = [
        "# Speed of the corruptions",
        "",
        f"Milliseconds per image of {side} x {side}, one core: median of {settings['repeats']} repeats, mean over "
        f"the five severities; {settings['images']} images (peer: {settings['peer_images']}). "
        f"Peer: imagecorruptions-imaug {result['versions']['imagecorruptions-imaug']}. {result['processor']}; "
        f"load {result['load_at_start']:.1f} from other programs at the start.",
        "",
        f"| corruption | package [ms] | peer [ms] | ratio | {settings['set']} images x 5 to disk [s] |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in result["corruptions"]:
        name = row["corruption"]
        to_disk = f"{wall[name]:.1f}" if name in wall else ""
        lines.append(f"| {name} | {row['package_ms']:.3f} | {row['peer_ms']:.3f} | {row['ratio']:.0f} | {to_disk} |")
    lines += [
        "",
        f"The 15 corruptions x 5 severities x {settings['set']} images of 32 x 32, written to disk with "
        f"{settings['workers']} workers: **{wall['total']:.0f} s**, "
        f"{wall['cpu']:.0f} s of processor time (what other programs on the machine change least). "
        f"Target for 10,000 images on 2 cores: {TARGET:.0f} s.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, and write ``corruptions.json`` and ``corruptions.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500, help="images for the package")
    parser.add_argument("--peer-images", type=int, default=50, help="images for the peer")
    parser.add_argument("--side", type=int, default=32, help="pixels a side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", type=int, default=10000, help="images of the whole set")
    parser.add_argument("--workers", type=int, default=2, help="processes for the whole set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    rows = compare(photographs(options.images, options.side), peer_images=options.peer_images, repeats=options.repeats)
    some = photographs(min(options.set, 500), 32)
    wall = whole_set(np.resize(some, (options.set, 32, 32, 3)), options.workers)
    packages = ("numpy", "scipy", "opencv-python-headless", "pillow", "imagecorruptions-imaug")
    result = {
        "settings": {key: value for key, value in vars(options).items() if key != "out"},
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "load_at_start": load,
        "corruptions": rows,
        "whole_set_seconds": wall,
        "target_seconds": TARGET,
    }
    write_json(options.out / "corruptions.json", result)
    write_text(options.out / "corruptions.md", markdown(result))
    print(markdown(result))


def _processor_seconds() -> float:
    """Return the processor time used so far by this process and its finished children."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in own)


if __name__ == "__main__":
    finished(main)
