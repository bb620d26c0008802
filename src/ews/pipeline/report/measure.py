"""From run folders to a study's numbers: measurements, records and the summary for `dvc metrics`."""

import json
from collections.abc import Mapping
from pathlib import Path

from ews.core.files import json_text, write_all
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.scores import Score
from ews.pipeline.report import measurements
from ews.pipeline.report.inputs import Inputs, RunRecord
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.metric_names import SINGLE, TRAIN, VALIDATION, published
from ews.pipeline.report.reported import Reported
from ews.pipeline.report.statistics import mean
from ews.pipeline.report.study_rows import Entry, Manifest


def measure(manifest: Manifest, *, inputs: Inputs, reported: Reported) -> tuple[list[Measurement], list[RunRecord]]:
    """Gather every number of a study, and the records of its runs.

    Returns:
        the measurements in the order of the manifest, and each cell's record.

    Raises:
        EwsError: a file is missing, damaged, or of other parameters.
    """
    found: list[Measurement] = []
    records = []
    for entry in manifest.entries:
        record = inputs.run(entry.run, entry.cell).record
        records.append(
            RunRecord(
                **dict(record),
                run=entry.run,
                evaluation=entry.evaluation,
                warnings=warnings(entry, inputs=inputs),
                notes=notes(entry, inputs=inputs),
            )
        )
        scores = {**evaluated(entry, inputs=inputs), **trained(entry, inputs=inputs)}
        for metric, score in scores.items():
            name = published(metric, scores)
            number = None if name is None else reported.find(entry.trained, name)
            found.append(
                Measurement(
                    study=manifest.study,
                    label=entry.label,
                    seed=entry.seed,
                    metric=metric,
                    value=score.error,
                    n=score.n,
                    reported=number.value if number else None,
                )
            )
    return found, records


def evaluated(entry: Entry, *, inputs: Inputs) -> dict[str, Score]:
    """Return what the evaluations found of a cell, by metric."""
    scores: dict[str, Score] = {}
    for asked in entry.asked:
        result = inputs.result(entry, asked.kind)
        if result is not None:
            scores |= EVALUATIONS[asked.kind].scoring().scores(result.result, result.options)
    return scores


def warnings(entry: Entry, *, inputs: Inputs) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return reasons to distrust numbers, by evaluation and weights; only of evaluations that look for such."""
    found = {}
    for asked in entry.asked:
        warn, result = EVALUATIONS[asked.kind].scoring().warnings, inputs.result(entry, asked.kind)
        if warn is not None and result is not None:
            found[asked.kind] = {weights: tuple(texts) for weights, texts in warn(result.result).items()}
    return found


def notes(entry: Entry, *, inputs: Inputs) -> dict[str, tuple[str, ...]]:
    """Return what captions say of how a cell was measured, by evaluation; only of those with something to say."""
    found = {}
    for asked in entry.asked:
        result = inputs.result(entry, asked.kind)
        sentences = () if result is None else EVALUATIONS[asked.kind].scoring().notes(result.result)
        if sentences:
            found[asked.kind] = tuple(sentences)
    return found


def trained(entry: Entry, *, inputs: Inputs) -> dict[str, Score]:
    """Return the last epoch's errors on training (augmented, while the weights moved) and validation images."""
    last, counts = inputs.epochs(entry)[-1], inputs.run(entry.run, entry.cell).record.counts
    scores = {}
    if last.validation_error is not None:
        scores[VALIDATION] = Score(100 * last.validation_error, counts.get("validation_images"))
    return {**scores, TRAIN: Score(100 * last.train_error, counts.get("train_images"))}


def means(manifest: Manifest, found: list[Measurement]) -> dict[str, dict[str, float]]:
    """Return the mean by row and metric that all seeds have, single corruptions aside: what `dvc metrics` shows."""
    whole = measurements.complete(found, manifest)
    rows: dict[str, dict[str, float]] = {}
    for label in manifest.labels:
        own = [one for one in whole if one.label == label and not one.metric.startswith(SINGLE)]
        rows[str(label)] = {
            metric: mean([one.value for one in own if one.metric == metric]) for metric in {one.metric for one in own}
        }
    return rows


def save(
    manifest: Manifest,
    found: list[Measurement],
    runs: list[RunRecord],
    *,
    out: Path,
    records: Path,
    metrics: Path,
    more: Mapping[Path, str] | None = None,
) -> None:
    """Write the files, all or none; a record is one line, so that a version control shows which changed.

    Args:
        manifest: the study.
        found: its measurements, to ``out``.
        runs: its records, to ``records``; means of the measurements go to ``metrics``.
        out, records, metrics: the files.
        more: further files of the same step, by path.
    """
    lines = ",\n".join(json.dumps(one.model_dump(mode="json"), sort_keys=True, allow_nan=False) for one in runs)
    means_of_rows = json_text(means(manifest, found))
    write_all(
        {
            records: f"[\n{lines}\n]\n",
            metrics: means_of_rows,
            **(more or {}),
            out: measurements.measurements_csv(found),
        }
    )
