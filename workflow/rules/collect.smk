# What the targets collect: the files of some studies.


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
