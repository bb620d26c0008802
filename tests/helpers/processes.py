"""Processes that start with torch imported: each forked by one server, without the seconds of the import."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["ews.pipeline.train.train_command", "ews.subnets.search.learned", "torch._dynamo", "torch._inductor"]
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
