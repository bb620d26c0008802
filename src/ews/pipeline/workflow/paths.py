"""Where files lie: what belongs to the user below the working folder, what is shipped beside the package."""

from pathlib import Path

import ews
from ews.pipeline.artifacts import run_files

ROOT = Path(ews.__file__).resolve().parents[2]
"""The project's folder: the workflow runs the package beside it."""

RUNS = run_files.RUNS
SETTINGS = "EWS_PARAMS"  # environment variable: the file with the settings that the workflow planned with
REPORTED = "src/ews/pipeline/report/reported.yaml"
TEMPLATE = "src/ews/pipeline/report/table.html"
DATASET = "dataset.json"
DATA_FILES = (
    *("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "validation.npy"),
    DATASET,
)
EXTRA = "extra.json"
EXTRA_FILES = ("images.npy", "labels.npy", EXTRA)
TABLES = ("table.csv", "table.md", "table.tex", "table.html")
# Those of every study; a study that asks for an evaluation with a figure of its own has `<kind>.svg` beside them.
FIGURES = ("training", "corruption", "severity", "sweep", "cost", "controller", "kept")


def shipped(path: str) -> str:
    """Return where a file of this project lies: as it is in the project's folder, from elsewhere its whole path.

    A project that is run in its own folder, as most are, may be moved as a whole: to Snakemake its inputs are the same.
    """
    return path if ROOT.samefile(Path()) else str(ROOT / path)


def record(run: str) -> str:
    """Return the path of a run's record."""
    return file(run, run_files.RECORD)


def file(results: str, name: str) -> str:
    """Return the path of a file of a run, or of a folder of evaluations below it."""
    return f"{RUNS}/{results}/{name}"


def dataset(name: str) -> str:
    """Return the path of the file that vouches for a dataset."""
    return f"data/{name}/{DATASET}"


def figures() -> list[str]:
    """Return the names of a study's figures."""
    return [f"{name}.svg" for name in FIGURES]
