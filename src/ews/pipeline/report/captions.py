"""The caption under a study's table: what was measured, on how much, how it was trained, and what to beware of."""

from collections import Counter
from collections.abc import Sequence

from ews.pipeline.artifacts.record import Record
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.scores import listing
from ews.pipeline.report import attack_captions, training_captions
from ews.pipeline.report.cost import Costs
from ews.pipeline.report.inputs import RunRecord
from ews.pipeline.report.layout import shows_cost
from ews.pipeline.report.metric_names import BEST, SELECTED
from ews.pipeline.report.reported import Reported, Setting
from ews.pipeline.report.statistics import mean
from ews.pipeline.report.study_rows import AXES, Manifest
from ews.pipeline.report.table_data import Results

Records = Sequence[RunRecord]
JPEG = "_jpeg"
WHOSE = {
    "generated": "made here by the published formulas and constants",
    "official": "the published files",
    "generated and official": "the published files in rows with source=official, made here in the others",
}
MOST_TIMES = 6  # more rows of vanilla than this are told as a range


def caption(manifest: Manifest, results: Results, *, records: Records, reported: Reported, costs: Costs) -> str:
    """Return the caption as plain text, in whole sentences."""
    sentences = [
        f"{(manifest.title or manifest.study).rstrip('.')}.",
        "Errors in percent, lower is better.",
        seeds(manifest, results),
        _comparison(results),
        *_definitions(results),
        attack_captions.subset(manifest, results),
        *attack_captions.notes(records),
        corrupted(manifest),
        _data(manifest),
        training(manifest, records),
        training_captions.recipes(manifest),
        training_captions.variants(manifest),
        training_captions.tuned(manifest),
        training_captions.changed(manifest),
        *_paper_setting(manifest, records, reported),
        _selection(results),
        *attack_captions.signs(manifest, records),
        *_sources(results),
        *_jpeg(manifest),
        _cost(results, costs),
        hardware(records, outside=len(manifest.teachers)),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def seeds(manifest: Manifest, results: Results) -> str:
    """Say how many training runs stand behind a number, and which."""
    by_row = {label: tuple(entry.seed for entry in manifest.of(label)) for label in results.labels}
    usual, _ = Counter(by_row.values()).most_common(1)[0]
    what = "Mean ± sample standard deviation over" if len(usual) > 1 else "No spread, since there is"
    text = f"{what} {plural(len(usual), 'seed')} ({listing(usual)})"
    others = [
        f"{label.method} ({'/'.join(label.group)}): {listing(own)}" for label, own in by_row.items() if own != usual
    ]
    return text + (f"; other seeds for {'; '.join(others)}." if others else ".")


def _comparison(results: Results) -> str:
    rows = [results.values[label][metric] for label in results.labels for metric in results.headline]
    text = "In bold the lowest mean of each group of methods, unless two print alike; bold claims no significance."
    if any(value.change is not None for value in rows):
        return (
            f"In brackets the difference to {results.reference} with the same data, network, augmentation and recipe. "
            f"{text}"
        )
    return text


def _definitions(results: Results) -> list[str]:
    """Say what each metric of the main table is and how many images it was measured on."""
    sentences = []
    for name in results.headline:
        images = sorted({n for row in results.values.values() if (n := row[name].n) is not None})
        metric = name.removesuffix(SELECTED)
        for kind, options in results.options.items():
            scoring = EVALUATIONS[kind].scoring()
            if metric in scoring.headline(options):
                numbers = " or ".join(f"{n:,}" for n in images)
                subset = " (a stratified subset)" if options.test_images else ""
                sentences.append(scoring.define(metric, options, f"{numbers} test images{subset}".strip()))
    return sentences


def corrupted(manifest: Manifest) -> str:
    """Say whose corrupted images were measured: published ones and ours are other random draws."""
    if "corruption" not in manifest.evaluations:
        return ""
    found: dict[str, set[str]] = {}
    for entry in manifest.entries:
        found.setdefault(entry.label.dataset, set()).add(entry.corrupted.source)
    texts = {dataset: WHOSE[" and ".join(sorted(sources))] for dataset, sources in found.items()}
    if len(set(texts.values())) == 1:
        return f"Corrupted images: {next(iter(texts.values()))}."
    return f"Corrupted images: {'; '.join(f'{text} ({dataset})' for dataset, text in texts.items())}."


def _data(manifest: Manifest) -> str:
    """Name what is alike in the whole table and so stands in no column."""
    parts = []
    for axis, name in (("dataset", "Data set"), ("architecture", "network")):
        values = {label.value(axis) for label in manifest.labels}
        if len(values) == 1:
            parts.append(f"{name} {values.pop()}")
    return f"{capital(', '.join(parts))}." if parts else ""


def training(manifest: Manifest, records: Records) -> str:
    """Say how long and on how many images was trained, per dataset and architecture where that differs."""
    lengths: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    for entry, record in zip(manifest.entries, records, strict=True):
        epochs, images = lengths.setdefault((entry.label.dataset, entry.label.architecture), (set(), set()))
        epochs.add(entry.cell.recipe.epochs)
        images |= {record.counts["train_images"]} if "train_images" in record.counts else set()
    texts = {key: _length(epochs, images) for key, (epochs, images) in lengths.items()}
    if len(set(texts.values())) == 1:
        return f"Trained for {next(iter(texts.values()))}."
    return "Trained for " + "; ".join(f"{text} ({' '.join(key)})" for key, text in texts.items()) + "."


def _length(epochs: set[int], images: set[int]) -> str:
    text = f"{' or '.join(map(str, sorted(epochs)))} epoch{'' if epochs == {1} else 's'}"
    return text + (f" on {' or '.join(f'{n:,}' for n in sorted(images))} training images" if images else "")


def _paper_setting(manifest: Manifest, records: Records, reported: Reported) -> list[str]:
    """Say where the training run differs from the paper's, for each data set that the paper uses."""
    kind = "standard" if attack_captions.attack(manifest) is None else "adversarial"
    differing: dict[Setting, list[str]] = {}
    for dataset in dict.fromkeys(label.dataset for label in manifest.labels):
        setting = reported.settings.get((dataset.removesuffix(JPEG), kind))
        if setting is None:
            continue
        pairs = [(e, r) for e, r in zip(manifest.entries, records, strict=True) if e.label.dataset == dataset]
        alike = all(
            entry.cell.recipe.epochs == setting.epochs
            and record.counts.get("train_images") == setting.train_images
            and entry.label.architecture in setting.architecture
            for entry, record in pairs
        )
        if not alike:
            differing.setdefault(setting, []).append(dataset.removesuffix(JPEG))
    return [
        f"The EWS paper differs: on {listing(dict.fromkeys(names))} it trains {listing(setting.architecture)} for "
        f"{setting.epochs} epochs on {setting.train_images:,} images."
        for setting, names in differing.items()
    ]


def _selection(results: Results) -> str:
    if results.last:
        return attack_captions.SELECTION
    text = "Weights of the last epoch; the test images selected nothing."
    if any(BEST in row for row in results.values.values()):
        text += f" {BEST.capitalize()}, in table.csv only, is that of the epoch with the lowest validation error."
    return text


def _sources(results: Results) -> list[str]:
    rows = [results.values[label][metric] for label in results.labels for metric in results.headline]
    sources = list(dict.fromkeys(value.reported.source for value in rows if value.reported))
    return [f"Columns “paper”: as reported by {'; '.join(sources)}."] if sources else []


def _jpeg(manifest: Manifest) -> list[str]:
    names = dict.fromkeys(label.dataset for label in manifest.labels if label.dataset.endswith(JPEG))
    return [
        f"{name} is {name.removesuffix(JPEG)} re-encoded as JPEG: JPEG training biases the jpeg, noise and blur "
        "columns, and the paper's numbers, which are of other data, are not shown."
        for name in names
    ]


def _cost(results: Results, costs: Costs) -> str:
    """Say what the column of the main table means, and how long an epoch of vanilla takes."""
    if not shows_cost(results, costs):
        return ""
    # A process knows its own time only.
    without = " and data loading in other processes" if "processor" in clocks(costs) else ""
    return (
        f"Cost: {clocks(costs)} of the median epoch of training, without validation{without}, divided by that of "
        f"{results.reference} with the same seed, data, network, augmentation and recipe on an equal machine; other "
        "programs that ran there disturb it, at times by more than the spread shows: benchmarks/ has steps timed side "
        f"by side. {capital(reference_seconds(results, costs))}."
    )


def clocks(costs: Costs) -> str:
    """Name the time that the costs are."""
    return " or ".join(f"{clock} time" for clock in sorted({cost.clock for cost in costs.values()}))


def reference_seconds(results: Results, costs: Costs) -> str:
    """Say how long an epoch of what rows are compared with takes: median, mean over seeds, of each or the range."""
    rows = [label for label in dict.fromkeys(results.baselines.values()) if label is not None and label in costs]
    means = {label: mean(list(costs[label].seconds.values())) for label in rows}
    what = f"such an epoch of {results.reference} takes"
    if len(rows) > MOST_TIMES:
        return f"{what} {_three(min(means.values()))} to {_three(max(means.values()))} s"
    varying = [axis for axis in AXES if len({label.value(axis) for label in rows}) > 1]
    names = {label: " ".join(label.value(axis) for axis in varying) for label in rows}
    times = [f"{_three(value)} s{f' ({names[label]})' if names[label] else ''}" for label, value in means.items()]
    return f"{what} {listing(times)}"


def _three(value: float) -> str:
    """Write a number with at least three digits."""
    return f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:.0f}"


def machine(record: Record) -> str:
    """Name what a run was trained on."""
    found = record.hardware
    return found.gpu or f"{found.cpu or found.device} ({plural(found.threads, 'thread')})"


def hardware(records: Records, *, outside: int = 0) -> str:
    """Summarise what the runs were trained on and how long that took.

    Args:
        records: of the runs.
        outside: how many networks they learned from that are none of them.
    """
    kinds = Counter(map(machine, records))
    unique = {record.run: record for record in records}
    seconds = [record.wall_clock_seconds for record in unique.values()]
    versions = {record.versions["torch"] for record in records if "torch" in record.versions}
    parts = [f"{name}{f': {count} runs' if len(kinds) > 1 else ''}" for name, count in kinds.most_common()]
    torch = f", torch {listing(sorted(versions))}" if versions else ""
    took = f"; {plural(len(unique), 'training run')}, {duration(sum(seconds))} together" if sum(seconds) else ""
    if took and outside:
        took += f", and {plural(outside, 'training run')} of teachers that stand in no row"
    return f"Trained on {'; '.join(parts)}{torch}{took}."


def duration(seconds: float) -> str:
    """Write a duration with two or three digits in a unit that fits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def capital(text: str) -> str:
    """Raise the first letter, leaving names as they are."""
    return text[:1].upper() + text[1:]


def tested(results: Results, group: tuple[str, str, str]) -> str:
    """Write how many seeds and test images stand behind a group's numbers, for a figure's title."""
    rows = [results.values[label] for label in results.labels if label.group == group]
    counts = {value.n for row in rows for name, value in row.items() if name in results.headline and value.n}
    trainings = {len(value.by_seed) for row in rows for value in row.values()}
    images = f", {' or '.join(f'{n:,}' for n in sorted(counts))} test images" if counts else ""
    return f"n = {_range(trainings)} seed{'' if trainings == {1} else 's'}{images}"


def _range(counts: set[int]) -> str:
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)}–{max(counts)}"
