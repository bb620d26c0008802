#!/usr/bin/env python3
"""Write requirements.lock anew from pyproject.toml (needs uv), and the conda files from the lock.

``python tools/lock.py`` does both; ``--conda-only`` needs no uv and leaves the lock as it is.
"""

import argparse
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
# Installed without its dependencies, which conda's pip section cannot say: it would bring a second OpenCV build.
WITHOUT_DEPENDENCIES = "imagecorruptions-imaug"
CONDA = (ROOT / "environment.yml", ROOT / "workflow" / "envs" / "ews.yaml")
POST_DEPLOY = ROOT / "workflow" / "envs" / "ews.post-deploy.sh"
HEADER = """\
# Written by tools/lock.py from requirements.lock, so that conda users get the same versions: edit neither by hand.
# conda env create -f environment.yml && conda activate ews && pip install --no-deps {apart} -e .
name: ews
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def pins(lock: str) -> list[str]:
    """Return the lock's requirements without their hashes, e.g. ``numpy==2.4.6 ; python_full_version < '3.12'``."""
    return re.findall(r"^([a-z0-9][^\s]*==[^\\\n]*?)\s*\\?$", lock, flags=re.MULTILINE)


def conda(lock: str) -> str:
    """Return the conda environment file that installs what the lock says."""
    everything = pins(lock)
    (apart,) = (pin for pin in everything if pin.startswith(WITHOUT_DEPENDENCIES))
    listed = [pin for pin in everything if pin != apart and not pin.startswith("opencv-python==")]
    return HEADER.format(apart=apart) + "".join(f'      - "{pin}"\n' for pin in listed)


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conda-only", action="store_true")
    if not parser.parse_args().conda_only:
        command = "uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --group dev"
        subprocess.run([*command.split(), "pyproject.toml", "-o", LOCK.name], cwd=ROOT, check=True)
    for path in CONDA:
        path.write_text(conda(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    (apart,) = (pin for pin in pins(LOCK.read_text(encoding="utf-8")) if pin.startswith(WITHOUT_DEPENDENCIES))
    POST_DEPLOY.write_text(f"#!/usr/bin/env bash\n# Written by tools/lock.py.\npip install --no-deps {apart}\n")


if __name__ == "__main__":
    main()
