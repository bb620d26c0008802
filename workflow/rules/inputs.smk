# From wildcards to the inputs and parameters of a rule.


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
    return fingerprint("ews.data.command", [READERS[kind].implementation])


def profile_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].corrupted.profile


def corruption_seed_of(wildcards):
    return PARAMS.datasets[wildcards.dataset].corrupted.seed


def official_source_of(wildcards):
    return f"{source_of(wildcards)}_c"


def archive_digest(dataset):
    """What the source says of the archive of the published corrupted images; from which address it comes changes nothing."""
    entry = SOURCES[f"{PARAMS.datasets[dataset].source}_c"]
    return digest(entry.model_dump(mode="json", include={"kind", "size", "checksum"}))


def official_digest(wildcards):
    return archive_digest(wildcards.dataset)


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
    return fingerprint("ews.pipeline.corrupt.sheet", [CORRUPTIONS[name].implementation for name in NAMES])


def corruption_code(wildcards):
    return fingerprint("ews.pipeline.corrupt.generate", [CORRUPTIONS[wildcards.corruption].implementation])


def dataset_of(wildcards):
    return f"data/{wildcards.run.split('/')[0]}/dataset.json"


def extra_of(wildcards):
    """The dataset's extra images, where the method takes some."""
    components = [component["name"] for component in cell_of(wildcards)["method"]["components"]]
    return [f"data/{wildcards.run.split('/')[0]}-extra/extra.json"] if "rst" in components else []


def teachers_of(wildcards):
    """The run that plays each role in a method that learns from other networks."""
    return {role: entry["run"] for role, entry in ews.pipeline.train.uses.teachers(cell_of(wildcards)).items()}


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


def extra_source(wildcards):
    """No input, but a check: where the file is missing a run stops before its first job, not at this one.

    As an input the file would be demanded of dry runs too, which plan on machines that do not have it.
    """
    made = f"data/{wildcards.dataset}-extra/{EXTRA_FILES[-1]}"
    entry = PARAMS.datasets[wildcards.dataset].extra
    if entry and workflow.executor_plugin and not workflow.dryrun and not os.path.exists(made):
        try:
            locate(entry.file, mirror=None, page=entry.page)
        except EwsError as error:
            raise WorkflowError(str(error)) from None
    return []


def cell_of(wildcards):
    if wildcards.run not in CELLS:
        raise WorkflowError(f"{RUNS}/{wildcards.run}: no study in params.yaml plans this run.")
    return CELLS[wildcards.run]


def cell_json(wildcards):
    return canonical(cell_of(wildcards))


def train_code(wildcards):
    return fingerprint("ews.pipeline.train", ews.pipeline.train.uses.uses(cell_of(wildcards)))


def evaluate_code(kind):
    def of(wildcards):
        options = {"names": corruption_names(wildcards), **corruption_made(wildcards)} if kind == "corruption" else {}
        return fingerprint("ews.pipeline.evaluate", ews.pipeline.evaluate.uses.uses(cell_of(wildcards), kind, options))

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


def attack_options(kind):
    def of(wildcards):
        return measuring.words(measuring.options(PARAMS, evaluation_of(wildcards), kind))

    return of


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
    official = entry.settings["corrupted"]["source"] == "official"
    return archive_digest(entry.cell["dataset"]) if official else ""


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


def study_teachers(wildcards):
    """Records of the networks that a study's cells learn from: a student costs its teachers too."""
    return sorted({f"{RUNS}/{run}/record.json" for entry in cells_of([wildcards.study]) for run in entry.teachers})


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
