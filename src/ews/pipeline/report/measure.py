"""From run folders to a study's numbers: measurements, records and the summary for `dvc metrics`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ews.core.files import write_json, write_text
from ews.pipeline.evaluate import alexnet, stability
from ews.pipeline.evaluate.metrics import mce
from ews.pipeline.report import inputs, measurements
from ews.pipeline.report.attacked import Attacked, read_adaptive, read_adversarial
from ews.pipeline.report.manifest import Entry, Manifest
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.metrics import (
    ADAPTIVE,
    AUTOATTACK,
    BENCHMARK,
    BEST,
    CLEAN,
    MCE,
    MFP,
    MFR,
    PER_CORRUPTION,
    PER_PERTURBATION,
    PER_RATE,
    SELECTED,
    SINGLE,
    SUSPECTED,
    TRAIN,
    TRUSTED,
    VALIDATION,
    WEIGHTED,
    averaged,
    ordered,
    pgd,
    published,
)
from ews.pipeline.report.metrics import stability as stability_name
from ews.pipeline.report.reported import Reported
from ews.pipeline.report.statistics import mean

Scores = dict[str, inputs.Score]


def measure(manifest: Manifest, *, runs: Path, reported: Reported) -> tuple[list[Measurement], list[dict[str, Any]]]:
    """Gather every number of a study, and the records of its runs.

    Returns:
        the measurements in the order of the manifest, and per cell its record.json with ``run``
        and ``evaluation`` added.

    Raises:
        EwsError: a file is missing, damaged, of other parameters, or holds a number that cannot be one.
    """
    found: list[Measurement] = []
    records = []
    for entry in manifest.entries:
        record = inputs.read_record(entry.run_folder(runs) / "record.json", entry.cell)
        records.append(
            {"run": entry.run, "evaluation": entry.evaluation, **record, **signs(manifest, entry, runs=runs)}
        )
        scores = evaluated(manifest, entry, runs=runs) | trained(entry, record, runs=runs)
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


def evaluated(manifest: Manifest, entry: Entry, *, runs: Path) -> Scores:
    """Return a cell's errors on test images and its flips: clean, means, and each corruption and perturbation alone."""
    folder, imagenet = entry.results_folder(runs), entry.label.dataset in manifest.imagenet
    record, images = entry.run_folder(runs) / "record.json", manifest.test_images
    scores: Scores = {}
    if "clean" in manifest.evaluations:
        clean = inputs.read_clean(folder / "clean.json", record=record, test_images=images)
        scores[CLEAN] = clean["last"]
        if "best" in clean:
            scores[BEST] = clean["best"]
    if "corruption" in manifest.evaluations:
        inputs.check_weights(folder / "corruption.json", record=record, test_images=images)
        table = inputs.read_corruption(folder / "corruption.csv", manifest.corruptions)
        single = {name: summary(list(table[name].values())) for name in ordered(manifest.corruptions)}
        metric, members = averaged(manifest.corruptions)
        # As many severities for each: the mean of the corruptions' means is the mean over all of their cells.
        scores[metric] = summary([single[name] for name in members])
        if members == BENCHMARK and imagenet:
            errors = {name: [single[name].error] for name in BENCHMARK}
            relative = mce(errors, {name: [alexnet.ERRORS[name]] for name in BENCHMARK})
            scores[MCE] = inputs.Score(relative, scores[metric].n)
        scores |= {PER_CORRUPTION + name: score for name, score in single.items()}
    if "perturbation" in manifest.evaluations:
        flips = inputs.read_perturbation(
            folder / "perturbation.csv", manifest.perturbations, record=record, test_images=images
        )
        scores |= flipped(flips, imagenet=imagenet)
    for weights, found in attacked(manifest, entry, runs=runs).items():
        suffix = "" if weights == "last" else SELECTED
        assert manifest.adversarial is not None
        scores[pgd(manifest.adversarial["steps"]) + suffix] = found.pgd
        scores[AUTOATTACK + suffix] = found.autoattack
        for name, robust in ((f"pgd-{manifest.adversarial['steps']}", found.pgd), ("autoattack", found.autoattack)):
            before = found.clean[name.partition("-")[0]]
            scores[f"{WEIGHTED}{name}{suffix}"] = inputs.Score(weighted(before.error, robust.error), robust.n)
    if manifest.adaptive is not None and entry.routed:
        for weights, deceived in read_adaptive(folder / "adaptive.json", manifest.adaptive, record=record).items():
            suffix = "" if weights == "last" else SELECTED
            scores |= {ADAPTIVE + suffix: deceived.error, SUSPECTED + suffix: deceived.suspected}
            if deceived.trusted is not None:
                scores[TRUSTED + suffix] = deceived.trusted
    return scores


def weighted(clean: float, robust: float) -> float:
    """Return the weighted robust accuracy, (clean accuracy + robust accuracy) / 2, of two errors in percent."""
    return 100 - (clean + robust) / 2


def flipped(flips: Mapping[str, inputs.Score], *, imagenet: bool) -> Scores:
    """Return the flip probabilities, their mean, and with ``imagenet`` both normalised by AlexNet's."""
    metric, probabilities = stability_name(list(flips)), {name: score.error for name, score in flips.items()}
    images = summary(list(flips.values())).n
    scores = {metric: inputs.Score(stability.mean_flip_probability(probabilities), images)}
    if imagenet:
        rates = stability.flip_rates(probabilities, alexnet.FLIP_PROBABILITIES)
        if metric == MFP:
            relative = stability.mean_flip_rate(probabilities, alexnet.FLIP_PROBABILITIES)
            scores[MFR] = inputs.Score(relative, images)
        scores |= {PER_RATE + name: inputs.Score(rate, flips[name].n) for name, rate in rates.items()}
    return scores | {PER_PERTURBATION + name: score for name, score in flips.items()}


def attacked(manifest: Manifest, entry: Entry, *, runs: Path) -> dict[str, Attacked]:
    """Return what attacks found by weights, ``last`` and maybe ``best``; empty where the study does not attack."""
    if manifest.adversarial is None:
        return {}
    path, record = entry.results_folder(runs) / "adversarial.json", entry.run_folder(runs) / "record.json"
    return read_adversarial(path, manifest.adversarial, record=record)


def signs(manifest: Manifest, entry: Entry, *, runs: Path) -> dict[str, Any]:
    """Return the signs of masked gradients by weights, to stand in records.json; empty where nothing was attacked."""
    found = attacked(manifest, entry, runs=runs)
    return {"warnings": {key: list(one.warnings) for key, one in found.items()}} if found else {}


def trained(entry: Entry, record: Mapping[str, Any], *, runs: Path) -> Scores:
    """Return the last epoch's errors on training (augmented, while the weights moved) and validation images."""
    path = entry.run_folder(runs) / "epochs.csv"
    last = inputs.read_epochs(path)[-1]
    counts = record.get("counts", {})
    scores: Scores = {}
    for metric, column, count in (
        (VALIDATION, "validation_error", "validation_images"),
        (TRAIN, "train_error", "train_images"),
    ):
        value = inputs.share(last, column, where=str(path))
        if value is not None:
            scores[metric] = inputs.Score(value, counts.get(count))
    return scores


def summary(scores: list[inputs.Score]) -> inputs.Score:
    """Return the plain mean of errors over the same images."""
    images = {score.n for score in scores}
    return inputs.Score(mean([score.error for score in scores]), images.pop() if len(images) == 1 else None)


def means(manifest: Manifest, found: list[Measurement]) -> dict[str, dict[str, float]]:
    """Return the mean over seeds by row and metric, single corruptions aside: what `dvc metrics` shows."""
    rows: dict[str, dict[str, float]] = {}
    for label in manifest.labels:
        own = [one for one in found if one.label == label and not one.metric.startswith(SINGLE)]
        rows[str(label)] = {
            metric: mean([one.value for one in own if one.metric == metric]) for metric in {one.metric for one in own}
        }
    return rows


def save(
    manifest: Manifest, found: list[Measurement], kept: list[dict[str, Any]], *, out: Path, records: Path, metrics: Path
) -> None:
    """Write the three files, each atomically; a record is one line, so that a version control shows which changed."""
    measurements.write(out, found)
    lines = ",\n".join(json.dumps(record, sort_keys=True, allow_nan=False) for record in kept)
    write_text(records, f"[\n{lines}\n]\n")
    write_json(metrics, means(manifest, found))
