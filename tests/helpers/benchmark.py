"""Benchmarks as a user calls them, on the CPU: as a process, or in this one without the seconds of a start."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch

ROOT = Path(__file__).parents[2]


def command(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script of ``benchmarks/`` from the project's folder."""
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""},
    )


def call(main: Callable[[], None], *arguments: object) -> None:
    """Call a script's ``main`` with a command line, where torch sees no GPU; errors come as they are."""
    words = [main.__module__, *map(str, arguments)]
    threads = torch.get_num_threads()
    try:
        with mock.patch.object(sys, "argv", words), mock.patch.object(torch.cuda, "is_available", lambda: False):
            main()
    finally:
        torch.set_num_threads(threads)
