"""The rules that make data: datasets, extra images, corrupted sets and their contact sheets."""

from ews.core.errors import EwsError, unknown
from ews.core.fingerprint import fingerprint
from ews.corruptions.corruption_registry import CORRUPTIONS
from ews.data.reader_registry import READERS
from ews.pipeline import commands
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionSection
from ews.pipeline.evaluate.evaluation_specs import section_of
from ews.pipeline.study.cells import OFFICIAL
from ews.pipeline.study.naming import digest
from ews.pipeline.study.planned import Planned
from ews.pipeline.workflow import paths
from ews.pipeline.workflow.workflow_plan import Plan


def source(plan: Plan, dataset: str) -> str:
    """Return the source of a dataset, an entry of the manifest."""
    return plan.dataset(dataset).source


def content(plan: Plan, dataset: str) -> str:
    """Return a digest of what the manifest says of a dataset's images; from which address they come changes none."""
    entry = plan.sources[source(plan, dataset)]
    unset = {name for name in ("test_split", "allow_empty_classes") if not getattr(entry, name)}
    return digest(entry.model_dump(mode="json", exclude={"url", "note", "title", "licence", "citation", *unset}))


def validation(plan: Plan, dataset: str) -> float:
    """Return the share of the training images that is held out."""
    return plan.dataset(dataset).validation


def code(plan: Plan, dataset: str) -> str:
    """Return the fingerprint of what makes a dataset."""
    return fingerprint("ews.data.data_command", [READERS[plan.sources[source(plan, dataset)].kind].implementation])


def extra_options(plan: Plan, dataset: str) -> str:
    """Return what is known of a dataset's file of extra images, as options.

    Raises:
        EwsError: params.yaml names none.
    """
    entry = plan.dataset(dataset).extra
    if entry is None:
        raise EwsError(f"params.yaml: datasets.{dataset} has no `extra`.")
    given = {"file": entry.file, "page": entry.page or None, "sha256": entry.sha256}
    return commands.quoted(commands.options(given))


def extra_code(plan: Plan) -> str:
    """Return the fingerprint of what converts extra images."""
    return fingerprint("ews.data.convert")


def require_extra(plan: Plan, dataset: str) -> None:
    """Look for a dataset's file of extra images.

    Raises:
        EwsError: it is nowhere; the message says where it is to be had.
    """
    from ews.data.convert import locate

    entry = plan.dataset(dataset).extra
    if entry is not None:
        locate(entry.file, mirror=None, page=entry.page)


def profile(plan: Plan, dataset: str) -> str:
    """Return whose constants a dataset's corruptions have."""
    return plan.dataset(dataset).corrupted.profile


def seed(plan: Plan, dataset: str) -> int:
    """Return the seed of a dataset's corruptions."""
    return plan.dataset(dataset).corrupted.seed


def corruption_code(plan: Plan, name: str) -> str:
    """Return the fingerprint of what makes one corruption of a dataset.

    Raises:
        EwsError: there is no corruption of that name.
    """
    if name not in CORRUPTIONS:
        raise unknown("corruption", name, CORRUPTIONS, where="data")
    return fingerprint("ews.pipeline.corrupt.generate_corrupted", [CORRUPTIONS[name].implementation])


def labels_code(plan: Plan) -> str:
    """Return the fingerprint of what writes the labels of corrupted sets."""
    return fingerprint("ews.pipeline.corrupt.generate_corrupted")


def official_source(plan: Plan, dataset: str) -> str:
    """Return the source of a dataset's published corrupted images.

    Raises:
        EwsError: none were published, or the manifest does not know them.
    """
    name = f"{source(plan, dataset)}_c"
    if name not in plan.sources:
        raise EwsError(
            f"data/{dataset}-c-official: no source {name!r} of published corrupted images in data/sources.yaml; "
            f"those made here are in data/{dataset}-c."
        )
    return name


def official_content(plan: Plan, dataset: str, name: str) -> str:
    """Return a digest of what the manifest says of the published archive, its addresses left out.

    Raises:
        EwsError: it has no array of that name.
    """
    # The archive's labels are an array like the others.
    if name != "labels" and name not in CORRUPTIONS:
        raise unknown("corruption", name, CORRUPTIONS, where="data")
    entry = plan.sources[official_source(plan, dataset)]
    return digest(entry.model_dump(mode="json", include={"kind", "size", "checksum"}))


def official_code(plan: Plan) -> str:
    """Return the fingerprint of what takes corrupted sets out of the published archive."""
    return fingerprint("ews.pipeline.corrupt.official")


def corruptions(entry: Planned) -> tuple[str, ...]:
    """Return which corruptions a cell is measured on."""
    return section_of(entry.settings, "corruption", CorruptionSection).names


def corrupted_folder(entry: Planned) -> str:
    """Return what a cell's corrupted test set is called: below data/, and its contact sheet's folder below results/."""
    official = entry.settings.corrupted.source == OFFICIAL
    return f"{entry.cell.dataset}-c{'-official' if official else ''}"


def set_files(plan: Plan, entry: Planned) -> list[str]:
    """Return the corrupted images that an evaluation reads, with the record by which each file is checked.

    None where images are made while they are measured: as soon as one of the studies that share it wants that.
    """
    if not plan.evaluation(entry.results).stored:
        return []
    files = [*(f"{name}.{suffix}" for name in corruptions(entry) for suffix in ("npy", "json")), "labels.npy"]
    return [f"data/{corrupted_folder(entry)}/{file}" for file in files]


def shown(plan: Plan, dataset: str, official: str) -> list[str]:
    """Return which stored corruptions of a dataset its contact sheet is drawn from: those that the studies store.

    Of images made here they are those of `evaluation.corruption.names` alone: what a single study adds to that is made
    for the picture, which is no reason for all the others to store it.

    Args:
        plan: of everything.
        dataset: its name.
        official: ``-official`` for the published images, else empty.

    Raises:
        EwsError: no study measures on the published images.
    """
    folder = f"{dataset}-c{official}"
    entries = [entry for entry in plan.corrupted(plan.studies) if corrupted_folder(entry) == folder]
    if official and not entries:
        raise EwsError(f"results/{folder}: no study in params.yaml measures on the official corrupted images.")
    names = {name for entry in entries if plan.evaluation(entry.results).stored for name in corruptions(entry)}
    usual = plan.params.evaluation.of("corruption")
    return sorted(names & set(usual.names) if not official and isinstance(usual, CorruptionSection) else names)


def shown_files(plan: Plan, dataset: str, official: str) -> list[str]:
    """Return the files of :func:`shown`."""
    folder = f"data/{dataset}-c{official}"
    return [f"{folder}/{name}.{suffix}" for name in shown(plan, dataset, official) for suffix in ("npy", "json")]


def sheet_code(plan: Plan) -> str:
    """Return the fingerprint of what draws contact sheets."""
    return fingerprint(
        "ews.pipeline.corrupt.corruption_sheet", [entry.implementation for entry in CORRUPTIONS.values()]
    )


def datasets(plan: Plan, studies: list[str]) -> list[str]:
    """Return the files of the datasets of some studies."""
    names = sorted({entry.cell.dataset for entry in plan.listed(studies)})
    return [f"data/{name}/{file}" for name in names for file in paths.DATA_FILES]


def corrupted_sets(plan: Plan, studies: list[str]) -> list[str]:
    """Return the stored corrupted images of some studies."""
    return sorted({file for entry in plan.corrupted(studies) for file in set_files(plan, entry)})


def contact_sheets(plan: Plan, studies: list[str]) -> list[str]:
    """Return the contact sheets of the corrupted sets of some studies."""
    return sorted({f"results/{corrupted_folder(entry)}/contact-sheet.png" for entry in plan.corrupted(studies)})
