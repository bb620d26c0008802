"""What training runs cost, against ratios worked out by hand, and in every format of the table."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.pipeline.report import cost, measure, reported, study_rows, table
from ews.pipeline.report.inputs import Inputs

Grow = Callable[..., Any]
SMALL: dict[str, Any] = {
    "augmentations": ("standard",),
    "methods": ("vanilla", "ews"),
    "seeds": (0, 1),
    "seconds": {"vanilla": (2.0, 4.0), "ews": (3.0, 8.0)},
    "logs": False,
}


def _edit(tree: Any, place: int, change: Callable[[dict[str, Any]], object]) -> None:
    tree.change(place, "record.json", change)


def _measure(tree: Any) -> tuple[study_rows.Manifest, list[Any], list[dict[str, Any]]]:
    study = study_rows.load(tree.study)
    return study, *measure.measure(study, inputs=Inputs(tree.runs), reported=reported.load())


def _costs(tree: Any) -> dict[str, cost.Cost]:
    study, _, records = _measure(tree)
    return {label.method: found for label, found in cost.costs(study, records).items()}


def _texts(tree: Any) -> dict[str, str]:
    study, found, records = _measure(tree)
    return table.tables(study, found, records=records, reported=reported.load())


def _rows(texts: dict[str, str]) -> dict[str, dict[str, str]]:
    return {row["method"]: row for row in csv.DictReader(io.StringIO(texts["table.csv"]))}


def test_ratios_are_formed_seed_by_seed(grow: Grow) -> None:
    found = _costs(grow(**SMALL))
    assert found["ews"] == cost.Cost("processor", {0: 3.0, 1: 8.0}, {0: 1.5, 1: 2.0})
    assert found["vanilla"].relative == {0: 1.0, 1: 1.0}


def test_the_table_shows_mean_and_spread_in_every_format(grow: Grow) -> None:
    texts = _texts(grow(**SMALL))
    # Ratios 1.5 and 2: mean 1.75, s = 0.25 sqrt(2) = 0.354. Seconds 3 and 8: 5.5 and 3.536.
    row = _rows(texts)["ews"]
    assert (row["cost"], row["cost std"], row["cost clock"]) == ("5.500", "3.536", "processor")
    assert (row["cost relative"], row["cost relative std"]) == ("1.75", "0.35")
    assert "1.75 ± 0.35" in texts["table.md"] and "cost (× vanilla)" in texts["table.md"]
    assert r"1.75 $\pm$ 0.35 \\" in texts["table.tex"]
    assert '1.75<span class="spread"> ± 0.35' in texts["table.html"]
    # Vanilla is one by definition: no spread.
    assert next(line for line in texts["table.tex"].splitlines() if "& vanilla &" in line).endswith(r"& 1.00 \\")
    caption = texts["caption.txt"]
    assert "Cost: processor time of the median epoch of training" in caption
    assert "benchmarks/ has steps timed side by side. Such an epoch of vanilla takes 3.00 s." in caption


def test_a_gpu_s_cost_is_wall_time(grow: Grow) -> None:
    tree = grow(**SMALL)
    for place in range(4):
        _edit(tree, place, lambda record: record["hardware"].update(device="cuda", gpu="Made-up GPU"))
        _edit(tree, place, lambda record, place=place: record["epoch_seconds"].update(wall=1.0 + place))
    assert _costs(tree)["ews"] == cost.Cost("wall", {0: 3.0, 1: 4.0}, {0: 3.0, 1: 2.0})
    assert "Cost: wall time of the median epoch of training, without validation, divided" in _texts(tree)["caption.txt"]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(epoch_seconds=None),
        lambda record: record["epoch_seconds"].update(processor=0.0),
        lambda record: record["hardware"].update(device="cuda"),  # not the clock of the row's other training
    ],
)
def test_a_row_with_a_training_without_cost_has_none_and_the_column_goes(
    grow: Grow, change: Callable[[dict[str, Any]], object]
) -> None:
    tree = grow(**SMALL)
    _edit(tree, 3, change)
    assert set(_costs(tree)) == {"vanilla"}
    texts = _texts(tree)
    assert "vanilla)" not in texts["table.md"] and "Cost:" not in texts["caption.txt"]
    rows = _rows(texts)
    assert (rows["ews"]["cost"], rows["ews"]["cost relative"], rows["ews"]["cost clock"]) == ("", "", "")
    assert rows["vanilla"]["cost"] == "3.000"


@pytest.mark.parametrize(("key", "value"), [("cpu", "Another"), ("threads", 7)])
def test_times_of_other_machines_are_not_compared(grow: Grow, key: str, value: object) -> None:
    tree = grow(**SMALL)
    _edit(tree, 3, lambda record: record["hardware"].update({key: value}))
    assert _costs(tree)["ews"] == cost.Cost("processor", {0: 3.0, 1: 8.0}, {0: 1.5})


def test_vanilla_without_cost_leaves_the_seconds(grow: Grow) -> None:
    tree = grow(**SMALL)
    for place in (0, 1):
        _edit(tree, place, lambda record: record.update(epoch_seconds=None))
    assert _costs(tree) == {"ews": cost.Cost("processor", {0: 3.0, 1: 8.0}, {})}


def test_no_vanilla_no_column(grow: Grow) -> None:
    tree = grow(**SMALL | {"methods": ("ews",), "seconds": {}})
    assert _costs(tree)["ews"].relative == {}
    assert "vanilla" not in _texts(tree)["table.md"].partition("| aug")[2]


def test_many_rows_of_vanilla_are_told_as_a_range(grow: Grow) -> None:
    methods = tuple(f"{name}, epochs={n}" for n in range(1, 8) for name in ("vanilla", "ews"))
    recipes = {method: {"epochs": int(method[-1])} for method in methods}
    seconds = {f"vanilla, epochs={n}": (float(n), float(n)) for n in range(1, 8)}
    tree = grow(**SMALL | {"methods": methods, "recipes": recipes, "seconds": seconds})
    assert "Such an epoch of vanilla takes 1.00 to 7.00 s." in _texts(tree)["caption.txt"]


def test_each_augmentation_s_vanilla_is_told(grow: Grow) -> None:
    caption = _texts(grow(**SMALL | {"augmentations": ("standard", "augmix")}))["caption.txt"]
    assert "Such an epoch of vanilla takes 3.00 s (standard), 3.00 s (augmix)." in caption


def test_metrics_json_has_no_times(grow: Grow) -> None:
    study, found, _ = _measure(grow(**SMALL))
    means = measure.means(study, found)
    assert not any(word in metric for row in means.values() for metric in row for word in ("cost", "second", "time"))
    assert set(means) == {f"digits/resnet8/standard/{method}" for method in ("vanilla", "ews")}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"wall": 1.0}, r"epoch_seconds\.processor: Field required"),
        ({"wall": 1.0, "processor": "fast"}, r"epoch_seconds\.processor: .*valid number"),
        ({"wall": 1.0, "processor": -1.0}, r"epoch_seconds\.processor: .*greater than or equal to 0"),
        (3.0, "epoch_seconds: "),
    ],
)
def test_impossible_times_are_named(grow: Grow, times: object, message: str) -> None:
    tree = grow(**SMALL)
    _edit(tree, 3, lambda record: record.update(epoch_seconds=times))
    with pytest.raises(EwsError, match=message) as caught:
        _measure(tree)
    assert "digits/resnet8/standard/ews/seed1/record.json" in str(caught.value)
    assert "train this run again" in str(caught.value)
