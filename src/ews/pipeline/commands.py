"""The one builder of command lines of the pipeline's own steps: the words that follow ``ews``.

Values are words of a shell as they stand, or places that a rule or a plan for another machine fills in later, such as
``{threads}``. What varies from job to job in number - options of an evaluation, teachers - is given as words, too.
Threads and processes come last: no result depends on them, and a rule keeps them out of its parameters.
"""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

Words = list[str]


def rule(*commands: Words, log: str = "{log}") -> str:
    """Return the shell text of a rule: its commands one after the other, as long as each succeeds, with one log.

    Snakemake deletes a job's log before it repeats the job. So the log is a link to ``<log>.all``, to which every start
    adds its lines.

    Args:
        commands: words, of which those in braces are Snakemake's to fill in.
        log: file for all output.
    """
    lines = " && ".join(" ".join(["python -m ews", *words]) for words in commands)
    body = lines if len(commands) == 1 else f"({lines})"
    return f"ln -sf $(basename {log}).all {log} && {body} >> {log} 2>&1"


def managed(words: Words) -> Words:
    """Return a command as a workflow gives it, whose manager may delete what a job made whose end it did not see."""
    return [*words, "--managed"]


def quoted(words: Words) -> str:
    """Return words as one text for a shell, each quoted where it has to be."""
    return shlex.join(words)


def options(values: Mapping[str, Any]) -> Words:
    """Return ``--test-images 1000 --names fog snow`` for ``{"test_images": 1000, "names": [...]}``; None: not given."""
    words: Words = []
    for key, value in values.items():
        if value is not None:
            words.append(f"--{key.replace('_', '-')}")
            words += map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return words


def teachers(runs: Mapping[str, str]) -> Words:
    """Return the options that name the run folder of each role."""
    return [word for role, run in runs.items() for word in ("--teacher", f"{role}={run}")]


def train(*, cell: str, data: str, out: str, code: str, teachers: Iterable[str], how: Mapping[str, Any]) -> Words:
    """Return the command of a training run.

    Args:
        cell: its resolved parameters, JSON.
        data: the dataset's folder.
        out: the run's folder.
        code: fingerprint of the code.
        teachers: of :func:`teachers`.
        how: what no result depends on: ``threads``, and ``workers`` where they are known.
    """
    given = options({"cell": cell, "data": data, "out": out})
    return ["train", *given, *teachers, *options({"fingerprint": code, **how})]


def evaluate(
    kind: str, *, run: str, data: str, out: str, code: str, asked: Iterable[str], how: Mapping[str, Any]
) -> Words:
    """Return the command of an evaluation.

    Args:
        kind: of evaluation.
        run: the folder of the finished training run.
        data: the folder of the dataset it was trained on.
        out: the folder of the results.
        code: fingerprint of the code.
        asked: the options that decide the result.
        how: what no result depends on: ``threads``, and ``workers`` where they are known.
    """
    places = {"run": run, "data": data, "out": out}
    return ["evaluate", kind, *options(places), *asked, *options({"fingerprint": code, **how})]


def prepare(*, dataset: str, source: str, validation: str, manifest: str, code: str, out: str) -> Words:
    """Return the command that brings a source of the manifest into the format of datasets."""
    given = {"dataset": dataset, "source": source, "validation": validation, "manifest": manifest}
    return ["data", "prepare", *options({**given, "fingerprint": code, "out": out})]


def extra(*, data: str, asked: Iterable[str], code: str) -> Words:
    """Return the command that converts a dataset's extra images."""
    return ["data", "extra", *options({"data": data}), *asked, *options({"fingerprint": code})]


def corrupt(*, data: str, name: str, profile: str, seed: str, code: str, out: str, workers: str) -> Words:
    """Return the command that corrupts a dataset's test images in one way."""
    made = {"data": data, "name": name, "profile": profile, "seed": seed}
    return ["corrupt", "generate", *options({**made, "workers": workers, "fingerprint": code, "out": out})]


def corrupted_labels(*, data: str, out: str) -> Words:
    """Return the command that writes the labels of corrupted images."""
    return ["corrupt", "labels", *options({"data": data, "out": out})]


def official(*, data: str, source: str, name: str, manifest: str, code: str, out: str) -> Words:
    """Return the command that takes one published corrupted set out of its archive."""
    given = {"data": data, "source": source, "name": name, "manifest": manifest}
    return ["corrupt", "official", *options({**given, "fingerprint": code, "out": out})]


def sheet(*, data: str, corrupted: str, stored: str, profile: str, seed: str, out: str) -> Words:
    """Return the command that draws every corruption at every severity."""
    given = {"data": data, "corrupted": corrupted, "stored": stored, "profile": profile, "seed": seed}
    return ["corrupt", "sheet", *options({**given, "out": out})]


def manifest(study: str, *, params: str, digest: str, out: str) -> Words:
    """Return the command that writes a study's manifest, if it is still what was planned.

    Args:
        study: its name.
        params: the file with the settings, as a shell has it.
        digest: of what was planned.
        out: the file.
    """
    return ["study", "--params", params, "manifest", study, *options({"digest": digest, "out": out})]


def tune(study: str, *, params: str, digest: str) -> Words:
    """Return the command that chooses a study's values by its trials, if they are still those that were planned."""
    return ["study", "tune", study, "--params", params, *options({"digest": digest})]


def measure(*, study: str, runs: str, reported: str, out: str) -> Words:
    """Return the command that collects a study's numbers into a folder."""
    files = {"out": "measurements.csv", "records": "records.json", "metrics": "metrics.json", "images": "images.csv"}
    given = {"study": study, "runs": runs, "reported": reported}
    return ["report", "measure", *options(given | {key: f"{out}/{name}" for key, name in files.items()})]


def table(*, folder: str, reported: str) -> Words:
    """Return the command that writes a study's table in each format."""
    given = {"study": f"{folder}/study.json", "measurements": f"{folder}/measurements.csv"}
    given |= {"records": f"{folder}/records.json", "images": f"{folder}/images.csv", "reported": reported}
    return ["report", "table", *options({**given, "out_dir": folder})]


def figures(*, folder: str, runs: str, evaluation: str | None = None) -> Words:
    """Return the command that draws a study's figures, or that of a kind of evaluation alone."""
    given = {"study": f"{folder}/study.json", "runs": runs, "measurements": f"{folder}/measurements.csv"}
    return ["report", "figures", *options({**given, "out_dir": folder, "evaluation": evaluation})]
