#!/usr/bin/env python3
"""Set everything up in .venv and run a task: ``python3 bootstrap.py {quickstart,test,setup}``.

Needs Python 3.11 to 3.13 and a package index, nothing else. The environment is built once and again
when requirements.lock changes.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
TASKS = {
    "setup": [],
    "quickstart": ["-m", "snakemake", "--cores", "all"],
    "test": ["-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "-m", "not slow"],
}


def main() -> int:
    """Parse the command line, set up, run the task; further arguments go to the task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    task, further = parser.parse_known_args()
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return fail(f"Python 3.11, 3.12 or 3.13 is needed; this is {sys.version.split()[0]}.")
    wanted = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    if not (PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted):
        status = install(wanted)
        if status:
            return status
    if not TASKS[task.task]:
        print(f"Ready. Activate it with: . {VENV.relative_to(ROOT)}/bin/activate")
        return 0
    # Workflow jobs start `python` by name: the environment's must come first.
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.call([PYTHON, *TASKS[task.task], *further], cwd=ROOT, env=environment)


def install(stamp: str) -> int:
    """Make .venv and install the locked packages with their hashes, then the package itself."""
    print("Setting up .venv (about 6 GB: the package index's torch brings its CUDA libraries) ...", flush=True)
    made = subprocess.call([sys.executable, "-m", "venv", "--clear", VENV])
    if made:
        shutil.rmtree(VENV, ignore_errors=True)
        return fail("could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-deps"]
    locked = [*pip, "--require-hashes", "-r", ROOT / "requirements.lock"]
    package = [*pip, "--no-build-isolation", "--editable", ROOT]
    for command in (locked, package):
        if subprocess.call(command):
            return fail("the installation failed; the message above says why. Run the same command again.")
    STAMP.write_text(stamp)
    return 0


def fail(message: str) -> int:
    """Print a message and return exit status 1."""
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
