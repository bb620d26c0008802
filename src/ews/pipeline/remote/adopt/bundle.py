"""What lies in an archive or a folder of runs, copied beside the runs' own folder, one file at a time."""

import re
import shutil
from pathlib import Path

from ews.core.errors import EwsError
from ews.data.archives import BOUNDS, Bounds, members
from ews.pipeline.artifacts import run_files

SEED = re.compile(r"seed\d+")
ABOVE = 4  # dataset, architecture, augmentation, method
Files = dict[str, Path]  # by name within the run's folder: "record.json", "evaluation--.../clean.json"


def unpack(source: Path, into: Path, bounds: Bounds = BOUNDS) -> dict[str, Files]:
    """Copy the files of runs out of a tar (gz, bz2, xz), zip or folder.

    A file is a run's if it lies in a folder like ``.../dataset/architecture/augmentation/method/seed0``, whatever is
    above, or in one folder of evaluations within it. All others, hidden ones and state.pt are left out.

    Args:
        source: the archive or folder.
        into: an empty folder on the disk where the runs are to lie.
        bounds: how much an archive may hold.

    Returns:
        by run (``dataset/.../seed0``), the copies by their name in the run's folder.

    Raises:
        EwsError: not an archive, a damaged or dishonest one, no run in it, the same file twice, or more than the disk
            has room for.
    """
    found: dict[str, Files] = {}
    room = shutil.disk_usage(into).free
    for name, content in members(source, bounds):
        parts = name.split("/")
        place = next((place for place in range(len(parts) - 1, -1, -1) if SEED.fullmatch(parts[place])), None)
        if place is None or place < ABOVE or len(parts) - place not in (2, 3) or parts[-1] == run_files.STATE:
            continue
        run, file = "/".join(parts[place - ABOVE : place + 1]), "/".join(parts[place + 1 :])
        files = found.setdefault(run, {})
        if file in files:
            raise EwsError(f"{source}: holds {run}/{file} twice; pack each run once.")
        files[file] = into / run / file
        files[file].parent.mkdir(parents=True, exist_ok=True)
        whole = content()
        room -= len(whole)
        if room < 0:
            raise EwsError(
                f"{source}: the runs in it are larger than the room on the disk of {into.parent}. Make room."
            )
        files[file].write_bytes(whole)
    if not found:
        raise EwsError(
            f"{source}: no run in it: nothing lies in a folder dataset/architecture/augmentation/method/seedK. Pack "
            "them with `tar cf runs.tar results/runs`."
        )
    return found
