"""What others published of the same question: numbers that stand beside a study's table, and beside no row of it."""

from collections.abc import Mapping

from ews.pipeline.evaluate.corruption.corruption_scores import CORRUPTION, MCE
from ews.pipeline.report.layout import NONE, Cell, Column, Grid, Row, fixed
from ews.pipeline.report.reported import Comparison, Reported
from ews.pipeline.report.study_rows import Manifest
from ews.pipeline.study.methods import VANILLA

CAPTION = (
    "Published elsewhere, errors in percent: other networks, trainings, attacks or corruptions than those of this "
    "study, as each row's footnote says. They show what a method reaches there, and are compared with no row above."
)
_CORRUPTION = frozenset({CORRUPTION, MCE})
_PLAIN = frozenset({"clean error"})


def found(manifest: Manifest, reported: Reported) -> list[Comparison]:
    """Return the published numbers that fit a study, in the order of the file.

    That is of its data sets and augmentations, where it has a component that they are to stand beside, and measures
    what they are of: errors under attack, or on corrupted images.
    """
    present = {(label.dataset, label.augmentation) for label in manifest.labels}
    components = {name for entry in manifest.entries for name in entry.cell.method.names or (VANILLA,)}
    return [
        one
        for one in reported.comparisons
        if (one.trained.dataset, one.trained.augmentation) in present
        and components & set(one.beside)
        and _kind(one) in manifest.evaluations
    ]


def grid(manifest: Manifest, reported: Reported) -> Grid | None:
    """Lay them out, a row for each with its setting and source in a footnote; None where none fits."""
    rows = found(manifest, reported)
    if not rows:
        return None
    metrics = list(dict.fromkeys(metric for one in rows for metric in one.numbers))
    several = len({one.trained.dataset for one in rows}) > 1
    notes: dict[str, str] = {}
    for one in rows:
        notes.setdefault(_note(one), chr(ord("a") + len(notes)))
    return Grid(
        name="published",
        caption=CAPTION,
        heads=(*(["dataset"] if several else []), "method", "network"),
        columns=tuple(Column(f"{metric} (%)") for metric in metrics),
        rows=tuple(
            Row(
                heads=(*([one.trained.dataset] if several else []), _name(one), one.trained.architecture),
                cells=tuple(_cell(one, metric, notes) for metric in metrics),
            )
            for one in rows
        ),
        notes=tuple((letter, text) for text, letter in notes.items()),
    )


def _kind(one: Comparison) -> str:
    """Return the evaluation that such numbers come from, beside the clean error."""
    rest = set(one.numbers) - _PLAIN
    return "clean" if not rest else "corruption" if rest & _CORRUPTION else "adversarial"


def _name(one: Comparison) -> str:
    values = [part.partition(".")[2] for part in one.trained.differs]
    return ", ".join([one.trained.method, *values])


def _note(one: Comparison) -> str:
    source = next(iter(one.numbers.values())).source
    return f"{source}: {one.setting}." if one.setting else f"{source}."


def _cell(one: Comparison, metric: str, notes: Mapping[str, str]) -> Cell:
    number = one.numbers.get(metric)
    return Cell(NONE) if number is None else Cell(fixed(number.value), note=notes[_note(one)])
