"""Processes that start with torch and Snakemake imported: each forked by one server, without the seconds of that."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from snakemake.cli import main

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "ews.pipeline.train.train_command",
        "ews.subnets.search.learned",
        "torch._dynamo",
        "torch._inductor",
        "snakemake.cli",
    ]
)


def start(said: Path, job: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start an importable function in a process of its own, whose standard error goes to the file ``said``."""
    process = PROCESSES.Process(target=_inside, args=(said, job, arguments))
    process.start()
    return process


def _inside(said: Path, job: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    with said.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
        job(*arguments)


def snakemake(said: Path, folder: Path, environment: dict[str, str], *arguments: str) -> int:
    """Run Snakemake's command in a folder, both its outputs going to the file ``said``; return its exit status."""
    process = PROCESSES.Process(target=_snakemake, args=(said, folder, environment, arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _snakemake(said: Path, folder: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    with said.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # The workflow imports the package that lies beside it, not the one that this server was started with.
    for name in [name for name in sys.modules if name.partition(".")[0] == "ews"]:
        del sys.modules[name]
    sys.argv = ["snakemake", *arguments]
    main(list(arguments))
