"""The caption under a study's table: what was measured, on how much, how it was trained, and what to beware of."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ews.report import adversarial
from ews.report.manifest import Manifest
from ews.report.metrics import BEST, CLEAN, averaged, ordered
from ews.report.reported import Reported, Setting
from ews.report.table_data import Results

Records = Sequence[Mapping[str, Any]]
JPEG = "_jpeg"


def caption(manifest: Manifest, results: Results, *, records: Records, reported: Reported) -> str:
    """Return the caption as plain text, in whole sentences."""
    sentences = [
        f"{(manifest.title or manifest.study).rstrip('.')}.",
        "Errors in percent, lower is better.",
        seeds(manifest, results),
        _comparison(results),
        *_definitions(manifest, results),
        _data(manifest),
        training(manifest, records),
        *_changed(manifest),
        *_paper_setting(manifest, records, reported),
        _selection(results),
        *adversarial.signs(manifest, records),
        *_sources(results),
        *_jpeg(manifest),
        hardware(records),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def seeds(manifest: Manifest, results: Results) -> str:
    """Say how many trainings stand behind a number, and which."""
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
        return f"In brackets the difference to vanilla with the same data, network, augmentation and recipe. {text}"
    return text


def _definitions(manifest: Manifest, results: Results) -> list[str]:
    """Say what each metric of the main table is and how many images it was measured on."""
    subset = " (a stratified subset)" if manifest.test_images else ""
    sentences = []
    for metric in results.headline:
        images = sorted({n for row in results.values.values() if (n := row[metric].n) is not None})
        numbers = " or ".join(f"{n:,}" for n in images)
        count = f"{numbers} test images{subset}".strip()
        if metric == CLEAN:
            sentences.append(f"Clean error: on {count}.")
            continue
        if metric in adversarial.names(manifest):
            sentences.append(adversarial.definition(manifest, metric, count))
            continue
        _, members = averaged(manifest.corruptions)
        names = "" if metric == "corruption error" else f" ({listing(ordered(members))})"
        plain = "plain mean, not normalised by another network's errors,"
        sentences.append(
            f"{metric.capitalize()}: {plain} over {plural(len(members), 'corruption')}{names} × 5 severities, "
            f"each on {count}."
        )
    return sentences


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
        epochs.add(int(entry.cell["recipe"]["epochs"]))
        images |= {int(n) for n in [record.get("counts", {}).get("train_images")] if n is not None}
    texts = {key: _length(epochs, images) for key, (epochs, images) in lengths.items()}
    if len(set(texts.values())) == 1:
        return f"Trained for {next(iter(texts.values()))}."
    return "Trained for " + "; ".join(f"{text} ({' '.join(key)})" for key, text in texts.items()) + "."


def _changed(manifest: Manifest) -> list[str]:
    """Name the values that differ from the defaults and stand in no row's name: those that a study sets once."""
    found: dict[str, None] = {}
    for entry in manifest.entries:
        in_label = {part.strip() for part in entry.label.method.split(",")}
        for part in entry.differs:
            if not _swept(part, in_label):
                found[part] = None
    return [f"Values other than the defaults: {listing(found)}."] if found else []


def _swept(part: str, in_label: set[str]) -> bool:
    """Tell whether a folder's ``ews.width=0.5`` is a row's ``width=0.5``; the value may hold dots too."""
    key, _, value = part.partition("=")
    return f"{key.rpartition('.')[2]}={value}" in in_label


def _length(epochs: set[int], images: set[int]) -> str:
    text = f"{' or '.join(map(str, sorted(epochs)))} epoch{'' if epochs == {1} else 's'}"
    return text + (f" on {' or '.join(f'{n:,}' for n in sorted(images))} training images" if images else "")


def _paper_setting(manifest: Manifest, records: Records, reported: Reported) -> list[str]:
    """Say where the training differs from the paper's, for each data set that the paper uses."""
    differing: dict[Setting, list[str]] = {}
    for dataset in dict.fromkeys(label.dataset for label in manifest.labels):
        setting = reported.settings.get(dataset.removesuffix(JPEG))
        if setting is None:
            continue
        pairs = [(e, r) for e, r in zip(manifest.entries, records, strict=True) if e.label.dataset == dataset]
        alike = all(
            entry.cell["recipe"]["epochs"] == setting.epochs
            and record.get("counts", {}).get("train_images") == setting.train_images
            and entry.label.architecture == setting.architecture
            for entry, record in pairs
        )
        if not alike:
            differing.setdefault(setting, []).append(dataset.removesuffix(JPEG))
    return [
        f"The paper differs: on {listing(dict.fromkeys(names))} it trains {setting.architecture} for "
        f"{setting.epochs} epochs on {setting.train_images:,} images."
        for setting, names in differing.items()
    ]


def _selection(results: Results) -> str:
    text = "Weights of the last epoch; the test images selected nothing."
    if any(BEST in row for row in results.values.values()):
        text += f" {BEST.capitalize()}, in table.csv only, is that of the epoch with the lowest validation error."
    text += adversarial.selection(results)
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


def hardware(records: Records) -> str:
    """Summarise what the runs were trained on and how long that took."""
    kinds: Counter[str] = Counter()
    for record in records:
        machine = record.get("hardware") or {}
        threads = machine.get("threads")
        name = machine.get("gpu") or machine.get("cpu") or machine.get("device")
        if name:
            cores = f" ({plural(threads, 'thread')})" if threads and not machine.get("gpu") else ""
            kinds[f"{name}{cores}"] += 1
    if not kinds:
        return ""
    unique = {record.get("run"): record for record in records}
    seconds = [float(record.get("wall_clock_seconds") or 0) for record in unique.values()]
    versions = {str((record.get("versions") or {}).get("torch")) for record in records} - {"None"}
    parts = [f"{name}{f': {count} runs' if len(kinds) > 1 else ''}" for name, count in kinds.most_common()]
    torch = f", torch {listing(sorted(versions))}" if versions else ""
    took = f"; {plural(len(unique), 'training')}, {duration(sum(seconds))} together" if sum(seconds) else ""
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


def listing(values: Iterable[object]) -> str:
    """Join values by commas."""
    return ", ".join(map(str, values))


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
