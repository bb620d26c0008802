"""The benchmarks of training steps: they run, their reference computes the same, their constants are the project's."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from helpers.benchmark import call, command

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import at_step  # noqa: E402
import common  # noqa: E402
import ews_step  # noqa: E402
import hours  # noqa: E402
import masked  # noqa: E402
import methods  # noqa: E402
import pipeline  # noqa: E402

from ews.core.errors import EwsError  # noqa: E402
from ews.methods.damp.damp import FASTEST  # noqa: E402

CPU = common.Setting(device=torch.device("cpu"), bfloat16=False, compiled=False)


def test_constants_are_those_of_params() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert params["datasets"]["cifar10"]["standard"] == pipeline.CROP.model_dump()
    recipe = params["recipes"]["cifar10"]["standard"]
    assert recipe["gradient_clip"] == common.CLIP


def test_damp_takes_the_form_that_was_measured_fastest() -> None:
    for entry in json.loads((ROOT / "benchmarks" / "results" / "methods.cpu.json").read_text())["measurements"]:
        ratios = {form: entry["ratios"]["wall"][f"DAMP, {form}"]["median"] for form in methods.FORMS}
        assert min(ratios, key=ratios.__getitem__) == FASTEST["cpu"]


@pytest.mark.parametrize("name", ["preact_resnet18_thin", "wrn10_1"])
def test_arithmetic_of_adversarial_steps(name: str) -> None:
    """Ten attack steps of two passes, three for the loss (TRADES: one for the reference, six for the loss)."""
    counts = at_step.operations(name, 0.9)
    assert counts["at+ews"] / counts["at"] == pytest.approx(1.12, abs=0.01)
    assert counts["trades+ews"] / counts["trades"] == pytest.approx(1.20, abs=0.01)
    assert counts["at"] / counts["vanilla"] == pytest.approx(23 / 3, rel=0.02)
    assert counts["trades"] / counts["vanilla"] == pytest.approx(27 / 3, rel=0.02)
    # Another full pass with the weights' gradients.
    assert (counts["at+awp"] - counts["at"]) / counts["vanilla"] == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("name", ["resnet18_thin", "resnet50_thin"])
def test_the_reference_computes_the_same_gradients(name: str) -> None:
    """One joint backward of full-size masked passes against two backwards of sliced ones."""
    weak = {}
    for kind in ("sliced", "masked"):
        network = common.build(name, CPU).double()
        where = common.context(network, CPU)
        batch = common.images(4, CPU.device)
        batch = common.Batch(images=batch.images.double(), labels=batch.labels, iteration=1, epoch=0)
        method = common.method(where, "ews", search="random")
        if kind == "sliced":
            method.gradients(batch)
        else:
            extra = method.extras[0]
            extra.begin(batch, method.objective)
            reference = masked.Masked(where, weight=1.0, reduction="batchmean", compiled=False)
            reference.gradients(batch, extra.subnet)
        weak[kind] = {name: parameter.grad for name, parameter in network.named_parameters()}
    for parameter, gradient in weak["sliced"].items():
        torch.testing.assert_close(gradient, weak["masked"][parameter], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("name", "expected", "gigaflop"), [("resnet18", 1.71, 3.34), ("resnet50", 1.63, 7.8)])
def test_arithmetic_bounds(name: str, expected: float, gigaflop: float) -> None:
    """0.557 and 1.30 billion multiply-adds per image: two operations each, three passes less the images' gradient."""
    bounds = ews_step.bounds(name, 0.7)
    assert bounds["ews"] == pytest.approx(expected, abs=0.01)
    assert bounds["gigaflop_per_image"] == pytest.approx(gigaflop, rel=0.02)
    assert ews_step.bounds(name, 1.0)["ews"] == 2.0


def test_interleaving_pairs_the_repetitions() -> None:
    order: list[str] = []
    tasks = {name: (lambda name=name: order.append(name)) for name in "abc"}
    wall, _ = common.interleave(tasks, repeats=3, calls=2, warmup=1, device=CPU.device)
    assert [len(times) for times in wall.values()] == [3, 3, 3]
    rounds = [order[i : i + 6 : 2] for i in range(0, len(order), 6)]
    assert len(rounds) == 4 and all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert {one[0] for one in rounds[1:]} == {"a", "b", "c"}


def test_steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "CPU_SIDE", 512)
    call(
        ews_step.main, "--network", "resnet18_thin", "--batch", 2, "--repeats", 2, "--warmup", 1, "--threads", 1,
        "--memory-repeats", 0, "--out", tmp_path,
    )  # fmt: skip
    (row,) = json.loads((tmp_path / "ews_step.cpu.json").read_text(encoding="utf-8"))["measurements"]
    assert set(row["ratios"]["wall"]) <= set(row["bounds"]) | {"masked_nchw", "against_masked_nchw"}
    page = (tmp_path / "ews_step.cpu.md").read_text(encoding="utf-8")
    assert "EWS step / vanilla step" in page
    peak, image = row["matrix_peak"]["median"], row["bounds"]["gigaflop_per_image"] * 1e9
    share = image * row["batch"] / row["seconds"]["wall"]["vanilla"]["median"] / peak
    assert 0 < share < 1 and f": {share:.0%} of a matrix product's" in page


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    done = command(
        "ews_step.py", "--network", "resnet18_thin", "--batch", 2, "--repeats", 2, "--warmup", 1, "--threads", 1,
        "--memory-repeats", 1, "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "ews_step.cpu.json").read_text(encoding="utf-8"))["measurements"]
    assert row["memory"]["bytes"]["vanilla"]["median"] > 0


def test_adversarial_steps_run(tmp_path: Path) -> None:
    call(
        at_step.main, "--network", "wrn10_1", "--batch", 2, "--repeats", 2, "--warmup", 0, "--threads", 1,
        "--out", tmp_path,
    )  # fmt: skip
    (row,) = json.loads((tmp_path / "at_step.cpu.json").read_text(encoding="utf-8"))["measurements"]
    assert set(row["ratios"]["wall"]) == set(row["bounds"])
    page = (tmp_path / "at_step.cpu.md").read_text(encoding="utf-8")
    assert page.index("| at+ews |") < page.index("| AT + EWS / AT |")


def test_arithmetic_of_steps_at_other_weights() -> None:
    """DAMP's parts together have the operations of a vanilla step; SAM and ASAM twice them."""
    counts = methods.operations("wrn10_1")
    ratios = {title: count / counts["vanilla"] for title, count in counts.items()}
    for title, ratio in ratios.items():
        assert ratio == pytest.approx(2.0 if "SAM" in title else 1.0, rel=1e-3), title
    assert sum("DAMP" in title for title in ratios) == 3


def test_steps_at_other_weights_run(tmp_path: Path) -> None:
    call(
        methods.main, "--network", "wrn10_1", "--batch", 16, "--repeats", 2, "--warmup", 0, "--threads", 1,
        "--out", tmp_path,
    )  # fmt: skip
    (row,) = json.loads((tmp_path / "methods.cpu.json").read_text(encoding="utf-8"))["measurements"]
    assert set(row["ratios"]["wall"]) == {*row["bounds"], methods.NOISE}
    # All parameters but biases and shifts, 8 times.
    shifts = sum(p.numel() for n, p in common.build("wrn10_1", CPU).named_parameters() if n.endswith("bias"))
    total = sum(p.numel() for p in common.build("wrn10_1", CPU).parameters())
    assert row["normal_numbers"] == 8 * (total - shifts)
    page = (tmp_path / "methods.cpu.md").read_text(encoding="utf-8")
    assert "DAMP is fastest" in page and "| SAM, 8 parts |" in page
    with pytest.raises(EwsError, match="needs at least 16 images"):
        call(methods.main, "--network", "wrn10_1", "--batch", 15, "--out", tmp_path)


def test_pipeline_runs(tmp_path: Path) -> None:
    call(
        pipeline.main, "--network", "resnet18_thin", "--batch", 4, "--batches", 2, "--repeats", 1, "--images", 8,
        "--workers", 0, "--threads", 1, "--out", tmp_path,
    )  # fmt: skip
    result = json.loads((tmp_path / "pipeline.cpu.json").read_text(encoding="utf-8"))
    assert len(result["rows"]) == 6
    assert all(0 < row["in_loader"]["median"] < 1 for row in result["rows"])


@pytest.mark.parametrize("script", [ews_step, pipeline, at_step, methods, hours], ids=lambda script: script.__name__)
def test_a_missing_device_is_said_in_one_line(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(EwsError, match=r"\A--device cuda.*\Z"):
        call(script.main, "--device", "cuda", "--out", tmp_path)
