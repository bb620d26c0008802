"""A study's table as CSV, Markdown, LaTeX and HTML, with its caption."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ews.core.documents import read_document
from ews.core.errors import EwsError
from ews.core.files import write_all
from ews.pipeline.report import captions, cost, html, latex, layout, layout_paired, markdown, published
from ews.pipeline.report.inputs import RunRecords
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.paired_images import Difference
from ews.pipeline.report.reported import Reported
from ews.pipeline.report.statistics import deviation, mean
from ews.pipeline.report.study_rows import AXES, Manifest
from ews.pipeline.report.table_data import Results, best, build

REMAKE = "Make it again with `ews report measure ...`."
SECONDS = 3  # decimals of a time, as records have them


def tables(
    manifest: Manifest,
    measured: list[Measurement],
    *,
    records: captions.Records,
    reported: Reported,
    differences: Sequence[Difference] = (),
) -> dict[str, str]:
    """Return the files' texts by name; without ``differences`` there is no comparison over test images."""
    results = build(manifest, measured, reported)
    costs = cost.costs(manifest, records)
    caption = captions.caption(manifest, results, records=records, reported=reported, costs=costs)
    main = layout.main_grid(manifest, results, caption=caption, costs=costs)
    others = [
        layout.last_grid(manifest, results),
        layout.robust_grid(manifest, results),
        layout.corruption_grid(manifest, results),
        layout.perturbation_grid(manifest, results),
        layout_paired.paired_grid(manifest, results),
        layout_paired.reference_grid(manifest, results),
        layout_paired.images_grid(manifest, results, differences),
        published.grid(manifest, reported),
    ]
    grids = [main, *(grid for grid in others if grid is not None)]
    title = manifest.title or manifest.study
    return {
        "table.csv": table_csv(results, costs),
        "table.md": markdown.render(title, grids),
        "table.tex": latex.render(grids, study=manifest.study),
        "table.html": html.render(title, grids),
        "caption.txt": f"{caption}\n",
    }


def table_csv(results: Results, costs: cost.Costs) -> str:
    """Return one line per row of the table and plain numbers, rounded as they are printed.

    For each metric the mean and its standard deviation over seeds ("std"); for those of the main table and of the last
    epoch also the difference to vanilla, the ends of its paired 95 % interval and the number of
    pairs, the paper's number, and whether the row is printed in bold. Last what a training costs:
    seconds of the median epoch, by which clock, and how many times those of vanilla.
    """
    bold = {metric: best(results, metric, digits=layout.DIGITS) for metric in results.compared}
    lines = []
    for label in results.labels:
        seeds = len(next(iter(results.values[label].values())).by_seed)
        line: dict[str, object] = {**{axis: label.value(axis) for axis in AXES}, "seeds": seeds}
        for metric in results.metrics:
            value = results.values[label].get(metric)
            line[metric] = _plain(value.mean if value else None)
            line[f"{metric} std"] = _plain(value.deviation if value else None)
            if value is None or metric not in results.compared:
                continue
            pair = value.paired
            line[f"{metric} n"] = value.n
            line[f"{metric} difference"] = _plain(value.change)
            line[f"{metric} difference low"] = _plain(pair.low if pair else None)
            line[f"{metric} difference high"] = _plain(pair.high if pair else None)
            line[f"{metric} difference pairs"] = pair.pairs if pair else None
            line[f"{metric} reported"] = _plain(value.reported.value if value.reported else None)
            line[f"{metric} best"] = "yes" if label in bold[metric] else "no"
        own = costs.get(label)
        line["cost clock"] = own.clock if own else ""
        for column, digits, values in (
            ("cost", SECONDS, list(own.seconds.values()) if own else []),
            ("cost relative", layout.DIGITS, list(own.relative.values()) if own else []),
        ):
            line[column] = _plain(mean(values) if values else None, digits)
            line[f"{column} std"] = _plain(deviation(values), digits)
        lines.append(line)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def read_records(path: Path, manifest: Manifest) -> captions.Records:
    """Read records.json and check that it holds the study's cells in their order.

    Raises:
        EwsError: missing, damaged, or of other cells.
    """
    records = read_document(path, RunRecords, remedy=REMAKE).root
    expected = [(entry.run, entry.evaluation) for entry in manifest.entries]
    if [(one.run, one.evaluation) for one in records] != expected:
        raise EwsError(f"{path}: does not hold the records of study {manifest.study!r}. {REMAKE}")
    return records


def save(texts: dict[str, str], folder: Path) -> None:
    """Write the files, all or none."""
    write_all({folder / name: text for name, text in texts.items()})


def _plain(value: float | None, digits: int = layout.DIGITS) -> str:
    """Round as in the printed table, with an ASCII minus; empty for None."""
    return "" if value is None else layout.fixed(value, digits).replace("−", "-")
