"""Where the workflow's files lie, below the project's top folder."""

from ews.pipeline.artifacts import run_files

RUNS = run_files.RUNS
SOURCES = "data/sources.yaml"
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
