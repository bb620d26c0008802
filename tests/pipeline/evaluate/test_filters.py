"""Statistics of filters against distributions whose moments are known, and the layers of real networks."""

import json
from collections.abc import Callable
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.datasets import write_dataset
from helpers.runs import NETWORK, a_cell, finish
from helpers.science import build_network
from safetensors.torch import save_file
from torch import nn

from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.data.dataset import load
from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.evaluate.filters.filters import describe, filters, gini, histogram, norms
from ews.pipeline.evaluate.filters.filters_scores import GINI, KURTOSIS, NEAR_ZERO, SCALE, SCORING
from ews.pipeline.evaluate.filters.filters_spec import SPEC, LayerFilters


def described(weight: np.ndarray, *, near_zero: float = 0.1) -> LayerFilters:
    return describe("stem", weight, near_zero=near_zero, where="run")


def test_normal_weights() -> None:
    found = described(0.02 * numpy_stream("normal").standard_normal((2000, 100)))
    assert found.deviation == pytest.approx(0.02, rel=0.01)
    assert found.kurtosis == pytest.approx(3, abs=0.05)
    assert found.mean_absolute == pytest.approx(0.02 * sqrt(2 / np.pi), rel=0.01)
    assert found.near_zero == pytest.approx(100 * erf(0.1 / sqrt(2)), abs=0.2)
    # Norms are 0.02 times chi with 100 degrees of freedom: mean near 10, standard deviation near sqrt(1 / 2).
    assert found.norm == pytest.approx(0.02 * sqrt(99.5), rel=0.01)
    assert found.norm_deviation == pytest.approx(0.02 * sqrt(0.5), rel=0.05)
    # Of a normal distribution the Gini coefficient is deviation / (mean sqrt(pi)).
    assert found.norm_gini == pytest.approx(100 * sqrt(0.5) / (sqrt(99.5) * sqrt(np.pi)), rel=0.05)
    assert found.scale == pytest.approx(0.2, rel=0.01)


def test_heavier_and_lighter_tails() -> None:
    assert described(numpy_stream("laplace").laplace(size=(2000, 200))).kurtosis == pytest.approx(6, abs=0.15)
    assert described(numpy_stream("uniform").uniform(size=(2000, 100))).kurtosis == pytest.approx(1.8, abs=0.02)
    signs = np.where(np.arange(40).reshape(4, 10) % 2, 0.5, -0.5)
    found = described(signs, near_zero=1.0)
    assert (found.mean, found.deviation, found.kurtosis, found.near_zero) == (0, 0.5, 1, 0)
    assert found.norm == pytest.approx(0.5 * sqrt(10))
    assert (found.norm_deviation, found.norm_gini) == pytest.approx((0, 0), abs=1e-12)
    assert described(signs, near_zero=1.01).near_zero == 100


def test_filters_of_unlike_norms() -> None:
    weight = np.zeros((4, 9))
    weight[2, 3] = 5
    found = described(weight)
    # One of four filters has all: 1 - 1/4. One of 36 weights is not zero.
    assert found.norm_gini == pytest.approx(75)
    assert found.near_zero == pytest.approx(100 * 35 / 36)
    assert norms(weight).tolist() == [0, 0, 5, 0]
    # A weight of a share p: kurtosis (1 - 3 p (1 - p)) / (p (1 - p)).
    p = 1 / 36
    assert found.kurtosis == pytest.approx((1 - 3 * p * (1 - p)) / (p * (1 - p)))


def test_the_gini_coefficient_is_half_the_relative_mean_difference() -> None:
    values = numpy_stream("gini").exponential(size=50)
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()))
    assert gini(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.25)
    assert gini(np.full(7, 0.1)) == pytest.approx(0, abs=1e-15)


def test_histograms_count_in_both_units() -> None:
    weight = np.array([[-3.0, -1.0, 1.0, 3.0]])
    found = histogram(weight, np.array([-3.0, -1.0, 0.0, 1.0, 3.0]))
    # Deviation sqrt(5): -1.34, -0.45, 0.45, 1.34. Fan-in 4: -6, -2, 2, 6, of which two lie beyond the ends.
    assert found.standard.tolist() == [1, 1, 1, 1]
    assert found.plain.tolist() == [1, 0, 0, 1]


def test_scale_and_shape_are_apart() -> None:
    weight = numpy_stream("scale").standard_normal((8, 27))
    one, other = described(weight), described(10 * weight)
    for name in ("kurtosis", "near_zero", "norm_gini"):
        assert getattr(other, name) == pytest.approx(getattr(one, name))
    assert other.scale == pytest.approx(10 * one.scale)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.array([[0.0, np.nan]]), "weights of stem are not finite: this training run has diverged"),
        (np.full((2, 3), 0.25), r"the weights of stem are all 0\.25"),
    ],
)
def test_weights_without_a_distribution_are_refused(weight: np.ndarray, message: str) -> None:
    with pytest.raises(EwsError, match=message):
        described(weight)


def test_a_router_and_the_head_are_left_out() -> None:
    architecture = {"network": "wide_resnet", "depth": 10, "widen": 1, "dynamic": {"name": "awnet", "extractor": [4]}}
    network = build_network(architecture, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("a"))
    found = filters(network)
    convolutions = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    assert set(found) == {name for name in convolutions if not name.startswith("router")}
    assert len(found) < len(convolutions) and next(iter(found)) == "stem"


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., tuple[Any, dict[str, np.ndarray]]]:
    """Run the command on networks of random weights, the selected ones 3 times as large."""
    arrays = {
        "train_images": np.zeros((4, 8, 8, 3), np.uint8),
        "train_labels": np.arange(4),
        "test_images": np.zeros((4, 8, 8, 3), np.uint8),
        "test_labels": np.arange(4),
        "validation": np.arange(0),
    }
    data, run = write_dataset(tmp_path / "data" / "grey", arrays, classes="abcd"), tmp_path / "run"
    run.mkdir()
    network = build_network(NETWORK, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("n"))
    weights = network.state_dict()
    save_file(weights, run / "model.safetensors")
    larger = {name: 3 * value if value.ndim == 4 else value for name, value in weights.items()}
    save_file(larger, run / "model-best.safetensors")
    finish(run, a_cell(), files=["model.safetensors", "model-best.safetensors"], data=load(data).checksum)

    def call() -> tuple[Any, dict[str, np.ndarray]]:
        words = ["--bins", "20", "--reach", "3", "--near-zero", "0.1"]
        main(["filters", "--run", str(run), "--data", str(data), "--out", str(run), *words])
        content = json.loads((run / "filters.json").read_text())
        return content["result"], dict(np.load(run / "filters.npz", allow_pickle=False))

    return call


def test_both_weights_of_a_run_are_described(measured: Any, tmp_path: Path) -> None:
    found, arrays = measured()
    assert [row["layer"] for row in found["last"]] == arrays["layers"].tolist()
    assert len(found["last"]) == 7  # stem and three blocks of two
    network = build_network(NETWORK, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("n"))
    kernel = network.blocks[1].convs[0].weight.detach().flatten(1)
    row = next(row for row in found["last"] if row["layer"] == "blocks.1.convs.0")
    assert (row["filters"], row["fan_in"]) == tuple(kernel.shape)
    assert row["deviation"] == pytest.approx(float(kernel.double().std(correction=0)))
    place = arrays["layers"].tolist().index("blocks.1.convs.0")
    assert arrays["weights"][place] == kernel.numel()
    standard = kernel.double() / kernel.double().std(correction=0)
    assert arrays["standard"][place].sum() == int((standard.abs() <= 3).sum())
    assert len(arrays["edges"]) == 21 and arrays["norms"].size == sum(row["filters"] for row in found["last"])
    for last, best in zip(found["last"], found["best"], strict=True):
        assert best["deviation"] == pytest.approx(3 * last["deviation"])
        assert best["kurtosis"] == pytest.approx(last["kurtosis"])
    run = tmp_path / "run"
    result = read_result(run, SPEC, FinishedRun.open(run))
    scores = SCORING.scores(result.result, result.options)
    assert scores[SCALE].error == pytest.approx(np.mean([r["deviation"] * r["fan_in"] ** 0.5 for r in found["last"]]))
    assert scores[f"{SCALE} (best)"].error == pytest.approx(3 * scores[SCALE].error)
    for metric, key in ((KURTOSIS, "kurtosis"), (NEAR_ZERO, "near_zero"), (GINI, "norm_gini")):
        assert scores[metric].error == pytest.approx(np.mean([row[key] for row in found["last"]]))
