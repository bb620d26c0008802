"""Factors on the weights against closed forms and a least-squares solution; the evaluation's numbers by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.datasets import write_dataset
from helpers.runs import NETWORK, a_cell, finish
from helpers.science import build_network
from safetensors.torch import save_file
from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.core.finished import forget
from ews.core.seeds import numpy_stream, torch_stream
from ews.corruptions import corrupt
from ews.data.dataset import load
from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.evaluate.mimicry import factors, mimicry
from ews.pipeline.evaluate.mimicry.factors import Effect, centred, draw, fit, logits, perturbed, spread
from ews.pipeline.evaluate.mimicry.mimicry import choose, share
from ews.pipeline.evaluate.mimicry.mimicry_scores import CONSTANT, FITTED, HELD_OUT, LOSS, SCORING, SPREAD
from ews.pipeline.evaluate.mimicry.mimicry_spec import SPEC, MimicryOptions

NAMES = ("fog", "contrast", "gaussian_noise")
TEST = 24
CLASSES = 3


def linear(inputs: int, outputs: int) -> nn.Sequential:
    """A linear model without bias."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs, bias=False)).eval().requires_grad_(False)
    model[1].weight.copy_(torch.randn(outputs, inputs, generator=torch_stream("weights")))
    return model


def images(count: int, *key: int | str) -> Tensor:
    return torch.rand(count, 3, 2, 2, generator=torch_stream("images", *key)) + 0.2


def effect(model: nn.Module, clean: Tensor, corrupted: Tensor) -> Effect:
    return Effect(clean, logits(model, clean), logits(model, corrupted))


def test_one_image_of_a_linear_model_is_mimicked_by_the_ratio_of_its_pixels() -> None:
    model, clean, corrupted = linear(12, CLASSES), images(1), images(1, "other")
    ratio = (corrupted / clean).flatten()
    assert torch.allclose(logits(model, clean, {"1.weight": (ratio - 1).expand(CLASSES, 12)}), logits(model, corrupted))
    wanted = effect(model, clean, corrupted)
    found = logits(model, clean, fit(model, wanted, steps=50))
    assert share(wanted.clean, wanted.corrupted, found) == pytest.approx(100, abs=1e-3)


def test_a_corruption_that_scales_pixels_is_mimicked_on_other_images_too() -> None:
    model, scale = linear(12, CLASSES), 0.5 + torch.rand(3, 2, 2, generator=torch_stream("scale"))
    clean, others = images(60), images(40, "others")
    found = fit(model, effect(model, clean, clean * scale), steps=200)
    wanted = effect(model, others, others * scale)
    assert share(wanted.clean, wanted.corrupted, logits(model, others, found)) == pytest.approx(100, abs=1e-2)
    # Up to what the softmax does not see, the same in all classes, the weights are those times the scale.
    left = model[1].weight * (1 + found["1.weight"] - scale.flatten())
    assert float((left - left.mean(0)).abs().max()) < 2e-2


def test_noise_that_knows_nothing_of_the_image_is_not() -> None:
    model, generator = linear(12, CLASSES), torch_stream("noise")
    clean, others = images(60), images(400, "others")
    noisy, others_noisy = (x + 0.3 * torch.randn(x.shape, generator=generator) for x in (clean, others))
    found = fit(model, effect(model, clean, noisy), steps=100)
    wanted = effect(model, others, others_noisy)
    fitted = share(logits(model, clean), logits(model, noisy), logits(model, clean, found))
    held_out = share(wanted.clean, wanted.corrupted, logits(model, others, found))
    assert fitted > 5 and held_out < 0


def test_the_fit_is_the_least_squares_solution() -> None:
    model, clean, corrupted = linear(12, CLASSES), images(50), images(50, "other")
    wanted = effect(model, clean, corrupted)
    found = share(wanted.clean, wanted.corrupted, logits(model, clean, fit(model, wanted, steps=300)))
    # Centred logits of image i are linear in the factors: sum over j of (delta_kl - 1 / K) w_lj x_ij xi_lj.
    x, w = clean.flatten(1).double().numpy(), model[1].weight.double().numpy()
    centring = np.eye(CLASSES) - 1 / CLASSES
    design = np.einsum("kl,lj,ij->iklj", centring, w, x).reshape(50 * CLASSES, -1)
    target = centred(wanted.corrupted.double()).numpy().reshape(-1)
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    left, before = target - design @ solution, target - design @ np.ones(12 * CLASSES)
    assert found == pytest.approx(100 * (1 - (left @ left) / (before @ before)), abs=0.05)


def test_batches_change_nothing_and_the_weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(NETWORK, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("net")).eval()
    network.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    clean = torch.rand(12, 3, 16, 16, generator=torch_stream("clean"))
    wanted = effect(network, clean, clean * 0.7)
    whole = fit(network, wanted, steps=5)
    monkeypatch.setattr(factors, "BATCH", 5)
    parts = fit(network, wanted, steps=5)
    assert all(torch.allclose(whole[name], parts[name], atol=1e-4) for name in whole)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    kernels = {name for name, value in network.named_parameters() if value.ndim > 1}
    scales = {name for name, _ in network.named_parameters() if "norm" in name and name.endswith("weight")}
    assert set(whole) == set(perturbed(network)) == kernels | scales


def test_shares_and_spreads_by_hand() -> None:
    clean, corrupted = torch.tensor([[1.0, -1.0], [0.0, 0.0]]), torch.tensor([[3.0, -3.0], [1.0, -1.0]])
    assert share(clean, corrupted, corrupted + 7) == 100
    assert share(clean, corrupted, clean - 2) == 0
    # Left is 2 (1 + 1) of 2 (4 + 1).
    half = torch.tensor([[2.0, -2.0], [0.0, 0.0]])
    assert share(clean, corrupted, half) == pytest.approx(100 * (1 - 4 / 10))
    assert share(clean, corrupted, -corrupted) == pytest.approx(100 * (1 - 80 / 10))
    assert spread({"a": torch.tensor([3.0, 4.0]), "b": torch.zeros(2, 1)}) == pytest.approx(2.5)


def test_both_halves_have_all_classes_and_are_the_same_every_time() -> None:
    labels = np.repeat(np.arange(4), 10)
    halves = choose(np.arange(100, 140), labels, 16)
    assert np.bincount(labels[halves.index - 100]).tolist() == [4] * 4
    assert np.bincount(labels[halves.index[halves.fitted] - 100]).tolist() == [2] * 4
    again = choose(np.arange(100, 140), labels, 16)
    assert (again.index == halves.index).all() and (again.fitted == halves.fitted).all()
    with pytest.raises(EwsError, match=r"evaluation\.mimicry\.images: 41 of 40 test images; valid: 2 to 40"):
        choose(np.arange(40), labels, 41)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Random images."""
    random = numpy_stream("mimicry data")
    arrays = {
        "train_images": np.zeros((3, 16, 16, 3), np.uint8),
        "train_labels": np.arange(3),
        "test_images": random.integers(0, 256, (TEST, 16, 16, 3)).astype(np.uint8),
        "test_labels": (np.arange(TEST) % CLASSES).astype(np.int64),
        "validation": np.arange(0),
    }
    return write_dataset(tmp_path / "data" / "grey", arrays, classes="abc")


Measured = Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]]


@pytest.fixture
def measure(tmp_path: Path, data: Path) -> Measured:
    """Run the command on a network of random weights; returns the findings and the arrays."""

    def call(*, change: Callable[[nn.Module], object] = lambda _: None, **options: Any) -> Any:
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        generator = torch_stream("run")
        network = build_network(NETWORK, classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=generator)
        with torch.no_grad():
            change(network)
        save_file(network.state_dict(), run / "model.safetensors")
        finish(run, a_cell(), files=["model.safetensors"], data=load(data).checksum)
        values = {"severity": 3, "images": 12, "steps": 3, "seed": 0, "profile": "cifar"} | options
        words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
        main(["mimicry", "--run", str(run), "--data", str(data), "--out", str(run), "--names", *NAMES, *words])
        found = json.loads((run / "mimicry.json").read_text())["result"]
        return found, dict(np.load(run / "mimicry.npz", allow_pickle=False))

    return call


def test_rows_are_what_the_logits_say(measure: Measured, data: Path) -> None:
    found, arrays = measure()
    assert (found["fitted"], found["held_out"]) == (6, 6)
    assert arrays["names"].tolist() == [row["corruption"] for row in found["rows"]] == list(NAMES)
    index, fitted = arrays["index"], arrays["fitted"]
    assert (arrays["label"] == load(data).test_labels[index]).all() and fitted.sum() == 6
    labels, others = arrays["label"][~fitted], ~fitted

    def squares(values: np.ndarray) -> float:
        values = values.astype(np.float64)
        return float(((values - values.mean(1, keepdims=True)) ** 2).sum())

    def loss(values: np.ndarray) -> float:
        values = values.astype(np.float64)
        return float((np.log(np.exp(values).sum(1)) - values[np.arange(len(values)), labels]).mean())

    for place, row in enumerate(found["rows"]):
        clean, corrupted, mimicked = arrays["clean"], arrays["corrupted"][place], arrays["mimicked"][place]
        for key, part in (("fitted", fitted), ("held_out", others)):
            left, whole = squares((mimicked - corrupted)[part]), squares((clean - corrupted)[part])
            assert row["explained"][key] == pytest.approx(100 * (1 - left / whole), abs=1e-3)
        constant = (corrupted - clean)[fitted].mean(0)
        left = squares((clean + constant - corrupted)[others])
        assert row["explained"]["constant"] == pytest.approx(
            100 * (1 - left / squares((clean - corrupted)[others])), abs=1e-2
        )
        assert row["explained"]["fitted"] > 0 and row["spread"] > 0
        assert row["losses"] == pytest.approx(
            {"clean": loss(clean[others]), "corrupted": loss(corrupted[others]), "mimicked": loss(mimicked[others])}
        )
        says = {key: value[others].argmax(1) for key, value in (("c", clean), ("g", corrupted), ("m", mimicked))}
        assert row["error"] == pytest.approx(100 * np.mean(says["g"] != labels))
        assert row["agreement"] == pytest.approx(100 * np.mean(says["m"] == says["g"]))
        assert row["unchanged"] == pytest.approx(100 * np.mean(says["c"] == says["g"]))


def test_images_are_those_of_the_corruption_error(measure: Measured, data: Path, tmp_path: Path) -> None:
    _, arrays = measure(severity=5, seed=7)
    network = build_network(NETWORK, classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("run"))
    index = arrays["index"]
    made = corrupt(load(data).test_images[index], name="fog", severity=5, seed=7, profile="cifar", indices=index)
    pixels = torch.from_numpy(made).movedim(-1, 1).float() / 255
    np.testing.assert_allclose(arrays["corrupted"][0], logits(network.eval(), pixels).numpy(), atol=1e-5)


def test_a_network_that_no_corruption_changes_has_no_shares(measure: Measured, tmp_path: Path) -> None:
    found, arrays = measure(change=lambda network: network.head.weight.zero_())
    assert [row["explained"] for row in found["rows"]] == [None] * 3
    assert {row["agreement"] for row in found["rows"]} == {100} and {row["spread"] for row in found["rows"]} == {0}
    assert (arrays["mimicked"] == arrays["clean"]).all()
    result = read_result(tmp_path / "run", SPEC, FinishedRun.open(tmp_path / "run"))
    assert SCORING.scores(result.result, result.options) == {}


def test_numbers_of_tables_are_means_over_the_corruptions(measure: Measured, tmp_path: Path) -> None:
    found, _ = measure()
    result = read_result(tmp_path / "run", SPEC, FinishedRun.open(tmp_path / "run"))
    scores = SCORING.scores(result.result, result.options)
    rows = found["rows"]
    for metric, key in ((HELD_OUT, "held_out"), (FITTED, "fitted"), (CONSTANT, "constant")):
        assert scores[metric].error == pytest.approx(np.mean([row["explained"][key] for row in rows]))
        assert scores[metric].n == 6
    assert scores[SPREAD].error == pytest.approx(100 * np.mean([row["spread"] for row in rows]))
    gains = [sum(row["losses"][key] - row["losses"]["clean"] for row in rows) for key in ("mimicked", "corrupted")]
    assert (LOSS in scores) == (gains[1] > 0)
    if gains[1] > 0:
        assert scores[LOSS].error == pytest.approx(100 * gains[0] / gains[1])


def test_a_diverged_network_is_refused(measure: Measured) -> None:
    with pytest.raises(EwsError, match="logits that are not finite: this training run has diverged"):
        measure(change=lambda network: network.head.bias.fill_(float("nan")))


def test_random_factors_are_as_far_from_one_as_the_fitted_ones(measure: Measured, data: Path) -> None:
    found, arrays = measure()
    network = build_network(NETWORK, classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("run"))
    others = ~arrays["fitted"]
    pixels = torch.from_numpy(load(data).test_images[arrays["index"][others]]).movedim(-1, 1).float() / 255
    for place, row in enumerate(found["rows"]):
        drawn = draw(network.eval(), row["spread"], torch_stream(0, "mimicry", row["corruption"]))
        assert spread(drawn) == pytest.approx(row["spread"], rel=0.1)
        clean, corrupted = (torch.from_numpy(x[others]) for x in (arrays["clean"], arrays["corrupted"][place]))
        assert row["explained"]["random"] == pytest.approx(
            share(clean, corrupted, logits(network, pixels, drawn)), abs=1e-2
        )


def test_more_images_than_are_measured_are_refused(measure: Measured) -> None:
    with pytest.raises(EwsError, match=r"evaluation\.mimicry\.images: 13 of 12 test images"):
        measure(images=13, **{"test-images": 12})
    assert SPEC.subsets(MimicryOptions(names=("fog",), seed=0, profile="cifar", severity=3, images=13, steps=1)) == {
        "images": 13
    }


def test_a_killed_evaluation_goes_on_with_the_next_corruption(
    measure: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    measure()
    whole = [(run / name).read_bytes() for name in ("mimicry.json", "mimicry.npz")]
    forget(run / "mimicry.json")
    fitted: list[object] = []

    def killed(*arguments: Any, **options: Any) -> Any:
        fitted.append(arguments)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(mimicry, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        measure()
    fitted.clear()
    with pytest.raises(KeyboardInterrupt):
        measure(seed=1)  # of other settings nothing is used
    assert len(fitted) == 3
    monkeypatch.undo()
    capsys.readouterr()
    measure(seed=1)
    assert capsys.readouterr().err.count("was done before") == 2
    measure()
    assert [(run / name).read_bytes() for name in ("mimicry.json", "mimicry.npz")] == whole
