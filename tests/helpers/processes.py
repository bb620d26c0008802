"""Processes that start with torch imported: each forked by one server, without the seconds of the import."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["ews.pipeline.train.train_command", "ews.subnets.search.learned", "torch._dynamo", "torch._inductor"]
)
