# What params.yaml plans, and small functions from wildcards to inputs and parameters. No science here.
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
    from ews.errors import EwsError
    from ews.fingerprint import fingerprint
    from ews.study.cells import all_cells, check_sizes, is_measured, manifest, plan, trainings
    from ews.data.sources import read_manifest
    from ews.study.naming import canonical, digest
    from ews.study.params import validate
    import ews.evaluate.uses
    import ews.train.uses
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
REPORTED = "src/ews/report/reported.yaml"
EVALUATED = {
    "clean": ["clean.json", "clean.npz"],
    "corruption": ["corruption.csv", "corruption.json", "corruption.npz"],
    "perturbation": ["perturbation.csv", "perturbation.json", "perturbation.npz"],
    "adversarial": ["adversarial.json", "adversarial.npz"],
    "adaptive": ["adaptive.json", "adaptive.npz"],
}
TABLES = ["table.csv", "table.md", "table.tex", "table.html"]
FIGURES = ["training", "corruption", "severity", "sweep", "cost", "controller", "kept"]
FIGURE_FILES = [f"{name}.svg" for name in FIGURES]

try:
    SOURCES = read_manifest("data/sources.yaml")
    PARAMS = validate(dict(config), sources=SOURCES)
    # Refuses two different cells in one folder.
    EVALUATIONS = all_cells(PARAMS)
    check_sizes(PARAMS, EVALUATIONS.values(), {name: (source.train, source.test) for name, source in SOURCES.items()})
    PLANS = {study: plan(PARAMS, study) for study in PARAMS.studies}
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


# --- a job on another machine
# Snakemake names it `rule:wildcard=value,...` and cuts values at their commas (snakemake/snakemake#2366); folders of runs
# have commas. What was cut off goes back to the wildcard before it, before the job's own DAG is built. Where Snakemake
# does not cut, this changes nothing.


def rejoin(target):
    names, whole = workflow.get_rule(target.rulename).wildcard_names, {}
    for key, value in target.wildcards_dict.items():
        if key in names:
            name, whole[key] = key, value
        else:
            whole[name] += f",{key}={value}"
    target.wildcards_dict.clear()
    target.wildcards_dict.update(whole)


def build_dag(build=workflow._build_dag):
    for target in workflow.dag_settings.target_jobs:
        rejoin(target)
    build()


workflow._build_dag = build_dag


# --- what is no reason to measure again
# Whether corrupted images were read from disk or made while they were measured changes no result
# (`evaluation.corruption.stored`), so the sets do not count among the inputs that an evaluation is remembered with. What
# they are is among its parameters: seed, constants and code, or the published archive.


def remembered(job, inputs):
    stored = set(job.input.get("corrupted", [])) if job.rule.name == "evaluate_corruption" else set()
    return [path for path in inputs if path not in stored]


def build_remembering(build=workflow._build_dag):
    inputs = workflow.persistence._input
    workflow.persistence._input = lambda job: remembered(job, inputs(job))
    build()


workflow._build_dag = build_remembering


# --- what the targets collect


def cells_of(studies):
    """Every planned cell of some studies, each results folder once."""
    return list({entry.results: entry for study in studies for entry in PLANS[study]}.values())


def datasets(studies):
    names = sorted({entry.cell["dataset"] for entry in cells_of(studies)})
    return expand("data/{dataset}/{file}", dataset=names, file=DATA_FILES)


def corrupted_name(entry):
    """Folder of a cell's corrupted test set below data/, and of its contact sheet below results/."""
    official = entry.settings["corrupted"]["source"] == "official"
    return f"{entry.cell['dataset']}-c{'-official' if official else ''}"


def measured_on_corruptions(studies):
    return [entry for study in studies if "corruption" in PARAMS.studies[study].evaluations for entry in PLANS[study]]


def is_stored(entry):
    """Whether corrupted images are read from disk, as all studies that share the evaluation want it."""
    return EVALUATIONS[entry.results].stored


def set_files(entry):
    """The corrupted images of an evaluation, with the record by which each file is checked."""
    names = entry.settings["corruption"]["names"]
    files = [*(f"{name}.{suffix}" for name in names for suffix in ("npy", "json")), "labels.npy"]
    return [f"data/{corrupted_name(entry)}/{file}" for file in files] if is_stored(entry) else []


def corrupted_sets(studies):
    return sorted({file for entry in measured_on_corruptions(studies) for file in set_files(entry)})


def contact_sheets(studies):
    return sorted({f"results/{corrupted_name(entry)}/contact-sheet.png" for entry in measured_on_corruptions(studies)})


def records(studies):
    return sorted({f"{RUNS}/{entry.run}/record.json" for entry in cells_of(studies)})


def evaluations(studies):
    return sorted(
        {
            f"{RUNS}/{entry.results}/{file}"
            for study in studies
            for kind in PARAMS.studies[study].evaluations
            for file in EVALUATED[kind]
            for entry in PLANS[study]
            if is_measured(kind, entry.cell)
        }
    )


def products(studies):
    return expand("results/{study}/{file}", study=studies, file=[*TABLES, *FIGURE_FILES])


# --- from wildcards to inputs and parameters


def source_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].source


def source_digest(wildcards):
    """What the source says of the images; from which address they come does not change them."""
    entry = SOURCES[source_of(wildcards)]
    return digest(entry.model_dump(mode="json", exclude={"url", "note", "title", "licence", "citation"}))


def validation_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].validation


def data_code(wildcards):
    kind = SOURCES[source_of(wildcards)].kind
    return fingerprint("ews.data", [("ews.data", kind)])


def profile_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].corrupted.profile


def corruption_seed_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].corrupted.seed


def official_source_of(wildcards):
    return f"{source_of(wildcards)}_c"


def official_digest(wildcards):
    entry = SOURCES[official_source_of(wildcards)]
    return digest(entry.model_dump(mode="json", include={"kind", "size", "checksum"}))


def shown_names(wildcards):
    """Which corruptions the studies store of a dataset: the contact sheet is drawn from those files."""
    folder = f"{wildcards.dataset}-c{wildcards.official}"
    entries = [entry for entry in measured_on_corruptions(PARAMS.studies) if corrupted_name(entry) == folder]
    if wildcards.official and not entries:
        raise WorkflowError(f"results/{folder}: no study in params.yaml measures on the official corrupted images.")
    return sorted({name for entry in entries if is_stored(entry) for name in entry.settings["corruption"]["names"]})


def shown_sets(wildcards):
    folder = f"data/{wildcards.dataset}-c{wildcards.official}"
    return [f"{folder}/{name}.{suffix}" for name in shown_names(wildcards) for suffix in ("npy", "json")]


def sheet_code(wildcards):
    return fingerprint("ews.corruptions.sheet", [("ews.corruptions", name) for name in NAMES])


def corruption_code(wildcards):
    return fingerprint("ews.corruptions", [("ews.corruptions", wildcards.corruption)])


def dataset_of(wildcards):
    return f"data/{wildcards.run.split('/')[0]}/dataset.json"


def extra_of(wildcards):
    """The dataset's extra images, where the method takes some."""
    components = [component["name"] for component in cell_of(wildcards)["method"]["components"]]
    return [f"data/{wildcards.run.split('/')[0]}-extra/extra.json"] if "rst" in components else []


def teachers_of(wildcards):
    """The run that plays each role in a method that learns from other networks."""
    return {role: entry["run"] for role, entry in ews.train.uses.teachers(cell_of(wildcards)).items()}


def teacher_records(wildcards):
    return [f"{RUNS}/{run}/record.json" for run in teachers_of(wildcards).values()]


def teacher_options(wildcards):
    return " ".join(f"--teacher {shlex.quote(f'{role}={RUNS}/{run}')}" for role, run in teachers_of(wildcards).items())


def extra_options(wildcards):
    entry = PARAMS.datasets[wildcards.dataset].extra
    if entry is None:
        raise WorkflowError(f"params.yaml: datasets.{wildcards.dataset} has no `extra`.")
    values = {"--file": entry.file, "--page": entry.page, "--sha256": entry.sha256}
    return " ".join(f"{option} {shlex.quote(value)}" for option, value in values.items() if value)


def cell_of(wildcards):
    if wildcards.run not in CELLS:
        raise WorkflowError(f"{RUNS}/{wildcards.run}: no study in params.yaml plans this run.")
    return CELLS[wildcards.run]


def cell_json(wildcards):
    return canonical(cell_of(wildcards))


def train_code(wildcards):
    return fingerprint("ews.train", ews.train.uses.uses(cell_of(wildcards)))


def evaluate_code(kind):
    def of(wildcards):
        options = {"names": corruption_names(wildcards), **corruption_made(wildcards)} if kind == "corruption" else {}
        return fingerprint("ews.evaluate", ews.evaluate.uses.uses(cell_of(wildcards), kind, options))

    return of


def evaluation_of(wildcards):
    results = wildcards.run + wildcards.where
    if results not in EVALUATIONS:
        raise WorkflowError(f"{RUNS}/{results}: no study in params.yaml plans this evaluation.")
    return EVALUATIONS[results]


def settings_of(wildcards):
    return evaluation_of(wildcards).settings


def test_images(wildcards):
    count = settings_of(wildcards)["test_images"]
    return "" if count is None else f"--test-images {count}"


def adversarial_options(wildcards):
    attack = settings_of(wildcards)["adversarial"]
    given = {key: attack[key] for key in ("epsilon", "step_size", "steps", "restarts")} | attack["autoattack"]
    return " ".join(f"--{key.replace('_', '-')} {value}" for key, value in given.items() if value is not None)


def adaptive_options(wildcards):
    settings = settings_of(wildcards)
    given = {key: settings["adversarial"][key] for key in ("epsilon", "step_size", "steps")}
    given |= {
        "restarts": settings["adaptive"]["restarts"],
        "batch_size": settings["adversarial"]["autoattack"]["batch_size"],
    }
    given |= {"weights": " ".join(map(str, settings["adaptive"]["weights"]))}
    return " ".join(f"--{key.replace('_', '-')} {value}" for key, value in given.items())


def corruption_names(wildcards):
    return settings_of(wildcards)["corruption"]["names"]


def corrupted_inputs(wildcards):
    return [] if finished_without_sets(wildcards) else set_files(evaluation_of(wildcards))


def finished_without_sets(wildcards):
    """Whether images were made on the way the last time, for the same result: sets made since are no reason to repeat it."""
    result = IOFile(
        f"{RUNS}/{wildcards.run}{wildcards.where}/corruption.csv", rule=workflow.get_rule("evaluate_corruption")
    )
    record = workflow.persistence.metadata(result)
    if record is None or any("-c/" in path or "-c-official/" in path for path in record.input_checksums):
        return False
    decisive = [corruption_names, test_images, corruption_options, corruption_archive, evaluate_code("corruption")]
    return record.params == sorted(repr(of(wildcards)) for of in decisive)


def corruption_made(wildcards):
    """How corrupted images are made; nothing for the published ones."""
    entry = evaluation_of(wildcards)
    if entry.settings["corrupted"]["source"] == "official":
        return {}
    made = PARAMS.datasets[entry.cell["dataset"]].corrupted
    return {"seed": made.seed, "profile": made.profile}


def corruption_options(wildcards):
    return " ".join(f"--{key} {value}" for key, value in corruption_made(wildcards).items())


def corruption_archive(wildcards):
    """What the archive of the published ones is; nothing for others."""
    entry = evaluation_of(wildcards)
    if entry.settings["corrupted"]["source"] != "official":
        return ""
    source = SOURCES[f"{PARAMS.datasets[entry.cell['dataset']].source}_c"]
    return digest(source.model_dump(mode="json", include={"kind", "size", "checksum"}))


def corruption_threads(wildcards):
    """One network uses one core; where images are made on the way, their makers use all."""
    return 1 if is_stored(evaluation_of(wildcards)) else workflow.cores or 1


def perturbation_names(wildcards):
    return settings_of(wildcards)["perturbation"]["names"]


def perturbation_options(wildcards):
    made = PARAMS.datasets[cell_of(wildcards)["dataset"]].corrupted
    return f"--profile {made.profile} --seed {made.seed}"


def perturbation_threads(wildcards):
    """Frames of 32 pixels are made in no time next to their predictions; those of 224 take all cores."""
    made = PARAMS.datasets[cell_of(wildcards)["dataset"]].corrupted
    return workflow.cores or 1 if made.profile == "imagenet" else 1


def study_digest(wildcards):
    return digest(manifest(PARAMS, wildcards.study))


def study_records(wildcards):
    return records([wildcards.study])


def study_logs(wildcards):
    """Learning curves of every run, and the controller's log of those that search."""
    logs = []
    for entry in cells_of([wildcards.study]):
        searches = any("search" in component for component in entry.cell["method"]["components"])
        names = ["epochs.csv", *(["controller.csv", "kept.csv"] if searches else [])]
        logs += [f"{RUNS}/{entry.run}/{name}" for name in names]
    return sorted(set(logs))


def study_evaluations(wildcards):
    return evaluations([wildcards.study])
