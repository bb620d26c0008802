"""The numbers that papers report (`reported.yaml`), checked on load, with their sources and footnotes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ews.core.errors import EwsError, unknown
from ews.pipeline.report.metrics import MCE, MFR, PER_RATE, PERTURBATIONS
from ews.pipeline.study.naming import spell

DEFAULT = Path(__file__).with_name("reported.yaml")
# The data sets that the papers use. A re-encoded copy (cifar10_jpeg) is other data: no number may claim it.
KINDS = ("standard", "adversarial")
DATASETS = ("cifar10", "cifar100", "imagenet")
_RATES = tuple(PER_RATE + name for name in PERTURBATIONS)
# Under an attack that the source at hand does not name: for variants, which stand beside nothing that was measured.
ROBUST = "robust error"
METRICS = ("clean error", "corruption error", MCE, MFR, *_RATES, "pgd-20 error", "autoattack error", ROBUST)
_BLOCK = {"paper", "table", "dataset", "architecture", "metrics", "rows"}
_OPTIONAL = {"variant", "overrides", "footnotes"}


@dataclass(frozen=True)
class Number:
    """A published number: percent, where it stands, and what is inconsistent about it ("" if nothing)."""

    value: float
    source: str
    footnote: str = ""


class Trained(NamedTuple):
    """What a number is of: the names of a cell, and the parameters that are not this project's defaults."""

    dataset: str
    architecture: str
    augmentation: str
    method: str
    differs: tuple[str, ...] = ()  # as `ews.width=0.5`, sorted


@dataclass(frozen=True)
class Setting:
    """How a paper trained its networks on one data set."""

    paper: str
    architecture: tuple[str, ...]
    train_images: int
    epochs: int


@dataclass(frozen=True)
class Reported:
    """Every published number by (what was trained, metric, variant), and the papers' settings by (data set, kind)."""

    numbers: Mapping[tuple[Trained, str, str], Number]
    settings: Mapping[tuple[str, str], Setting]

    def find(self, trained: Trained, metric: str) -> Number | None:
        """Return the number to print beside a run, if the paper has one for exactly this training."""
        return self.numbers.get((trained, metric, ""))


def load(path: Path | str = DEFAULT) -> Reported:
    """Read and check a file like `reported.yaml`.

    Raises:
        EwsError: unknown or missing key, a number that is none or is outside 0 to 200 %, a row of the
            wrong length, a number given twice, or a footnote on a number that is not there.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file; the project's own is {DEFAULT}.") from None
    except yaml.YAMLError as error:
        raise EwsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict) or set(raw) != {"papers", "settings", "tables"}:
        raise EwsError(f"{path}: must have exactly the keys papers, settings, tables.")
    papers = {key: _paper(entry, where=f"{path}: papers.{key}") for key, entry in raw["papers"].items()}
    settings = {}
    for dataset, kinds in raw["settings"].items():
        _check_name(dataset, DATASETS, "data set", f"{path}: settings.{dataset}")
        for kind, entry in kinds.items():
            where = f"{path}: settings.{dataset}.{kind}"
            _check_name(kind, KINDS, "kind of training", where)
            _check_keys(entry, {"paper", "architecture", "train_images", "epochs"}, set(), where)
            _check_name(entry["paper"], papers, "paper", where)
            given = {"paper": papers[entry["paper"]], "architecture": tuple(entry["architecture"])}
            settings[dataset, kind] = Setting(**{**entry, **given})
    numbers: dict[tuple[Trained, str, str], Number] = {}
    for place, block in enumerate(raw["tables"]):
        where = f"{path}: tables[{place}]"
        for key, number in _block(block, papers, where).items():
            if key in numbers:
                raise EwsError(
                    f"{where}: {'/'.join(key[0][:4])}, {key[1]}: stands twice; give the second one a `variant`."
                )
            numbers[key] = number
    return Reported(numbers=numbers, settings=settings)


def _paper(entry: Any, *, where: str) -> str:
    _check_keys(entry, {"title", "authors", "year"}, set(), where)
    return f"{entry['authors']} ({entry['year']})"


def _block(block: Any, papers: Mapping[str, str], where: str) -> dict[tuple[Trained, str, str], Number]:
    """Return the numbers of one block by (what was trained, metric, variant)."""
    _check_keys(block, _BLOCK, _OPTIONAL, where)
    _check_name(block["paper"], papers, "paper", where)
    _check_name(block["dataset"], DATASETS, "data set", where)
    for metric in block["metrics"]:
        _check_name(metric, METRICS, "metric", where)
    notes: dict[tuple[str, str], str] = {}
    for note in block.get("footnotes", []):
        _check_keys(note, {"row", "metric", "text"}, set(), f"{where}.footnotes")
        if note["row"] not in block["rows"] or note["metric"] not in block["metrics"]:
            raise EwsError(f"{where}.footnotes: no number at {note['row']!r}, {note['metric']!r} in this block.")
        notes[note["row"], note["metric"]] = note["text"].strip()
    overrides = block.get("overrides", {})
    if not isinstance(overrides, dict):
        raise EwsError(f"{where}.overrides: must be a mapping of parameters to values, such as {{ews.width: 0.9}}.")
    for parameter in overrides:
        if not any(_concerns(parameter, row) for row in block["rows"]):
            raise EwsError(f"{where}.overrides: {parameter!r} is of no row's method; write component.parameter.")
    source = f"{papers[block['paper']]}, {block['table']}"
    numbers = {}
    for row, values in block["rows"].items():
        augmentation, slash, method = row.partition("/")
        if not slash or "/" in method:
            raise EwsError(f"{where}.rows: {row!r} must be augmentation/method.")
        differs = tuple(f"{key}={spell(value)}" for key, value in sorted(overrides.items()) if _concerns(key, row))
        trained = Trained(block["dataset"], block["architecture"], augmentation, method, differs)
        if not isinstance(values, list) or len(values) != len(block["metrics"]):
            raise EwsError(f"{where}.rows.{row}: must be a list of {len(block['metrics'])} numbers, one per metric.")
        for metric, value in zip(block["metrics"], values, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 200:
                raise EwsError(f"{where}.rows.{row}: {metric}: {value!r} is not a number of percent from 0 to 200.")
            assert math.isfinite(value)
            key = (trained, metric, str(block.get("variant", "")))
            numbers[key] = Number(float(value), source, notes.get((row, metric), ""))
    return numbers


def _concerns(parameter: str, row: str) -> bool:
    """Tell whether `component.parameter` is one of a component of the method in `augmentation/method`."""
    return parameter.partition(".")[0] in row.partition("/")[2].split("+")


def _check_keys(entry: Any, needed: set[str], optional: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise EwsError(f"{where}: must be a mapping with the keys {', '.join(sorted(needed))}.")
    for key in entry:
        if key not in needed | optional:
            raise unknown("key", key, needed | optional, where=where)
    missing = sorted(needed - set(entry))
    if missing:
        raise EwsError(f"{where}: lacks {', '.join(missing)}.")


def _check_name(name: Any, valid: Any, kind: str, where: str) -> None:
    if name not in valid:
        raise unknown(kind, name, valid, where=where)
