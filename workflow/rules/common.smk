# What params.yaml plans, and the names of files. No science here.
import os
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile

# The package beside this workflow is the one that runs, installed or not, here and in the jobs.
SOURCE = os.path.abspath(os.path.join(str(workflow.current_basedir), "..", "..", "src"))
sys.path.insert(0, SOURCE)
os.environ.update(PYTHONPATH=os.pathsep.join([SOURCE, *filter(None, [os.getenv("PYTHONPATH")])]))

try:
    from ews.corruptions import NAMES
    from ews.corruptions.registry import CORRUPTIONS
    from ews.data.convert import locate
    from ews.core.errors import EwsError
    from ews.core.fingerprint import fingerprint
    from ews.pipeline.study.cells import check_sizes, is_measured, manifest, merged, plan, trainings
    from ews.data.registry import READERS
    from ews.data.sources import read_manifest
    from ews.pipeline.study import measuring
    from ews.pipeline.study.naming import canonical, digest
    from ews.pipeline.study.params import validate
    import ews.pipeline.evaluate.uses
    import ews.pipeline.train.uses
except ImportError as error:
    raise WorkflowError(
        f"A package is missing here ({error}). Run `python3 bootstrap.py setup` and activate .venv, or see environment.yml."
    ) from None

RUNS = "results/runs"
ENVIRONMENT = "../envs/ews.yaml"
DATA_FILES = [
    *("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "validation.npy"),
    "dataset.json",
]
EXTRA_FILES = ["images.npy", "labels.npy", "extra.json"]
REPORTED = "src/ews/pipeline/report/reported.yaml"
EVALUATED = {kind: list(names) for kind, names in measuring.FILES.items()}
TABLES = ["table.csv", "table.md", "table.tex", "table.html"]
FIGURES = ["training", "corruption", "severity", "sweep", "cost", "controller", "kept"]
FIGURE_FILES = [f"{name}.svg" for name in FIGURES]

try:
    SOURCES = read_manifest("data/sources.yaml")
    PARAMS = validate(dict(config), sources=SOURCES)
    PLANS = {study: plan(PARAMS, study) for study in PARAMS.studies}
    # Refuses two different cells in one folder.
    EVALUATIONS = merged(PLANS)
    check_sizes(PARAMS, PLANS, {name: (source.train, source.test) for name, source in SOURCES.items()})
except EwsError as error:
    raise WorkflowError(str(error)) from None

# Those that a listed cell learns from, too: they are trained, and measured only if a study lists them.
CELLS = trainings(EVALUATIONS.values())

# Where archives are looked for is no property of a result, so it is no rule's parameter.
if PARAMS.mirror:
    os.environ.setdefault("EWS_MIRROR", PARAMS.mirror)


wildcard_constraints:
    dataset="|".join(PARAMS.datasets),
    study="|".join(PARAMS.studies),
    corruption="[a-z_]+",
    run=r"[^/]+/[^/]+/[^/]+/[^/]+/seed\d+",
    where=r"(/eval,[^/]+)?",
