"""The adaptive attack against a router whose worst case is known, on a network that hides it from plain PGD."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.datasets import write_dataset
from helpers.runs import a_cell, finish, method
from helpers.science import build_network
from safetensors.torch import save_file
from torch import Tensor, nn

from ews.attacks import ensemble
from ews.attacks.adaptive_attack import deceive
from ews.attacks.pgd import pgd
from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.data.dataset import load
from ews.models.awnet.awnet import routing
from ews.models.network import Network
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.adaptive import adaptive
from ews.pipeline.evaluate.evaluate_command import main

EPSILON = 8 / 255
THRESHOLD = 128
"""Grey level from which on the router takes an image for clean."""
TEST = 24
ARCHITECTURE = {
    **{"name": "gate", "network": "wide_resnet", "depth": 10, "widen": 1},
    "dynamic": {"name": "awnet", "extractor": [1]},
}
GATE = {
    "name": "gate",
    "parameters": {"network": "wide_resnet", "depth": 10, "widen": 1},
    "dynamic": {"name": "awnet", "parameters": {"extractor": [1]}},
}
SCALE: dict[str, Any] = {"classes": 4, "mean": [0.5] * 3, "std": [0.25] * 3}


def gate(*, margin: float = 200.0) -> Network:
    """A network that says class 1 of what its router takes for clean and else class 0, by a margin of logits.

    By default it is so sure of either that the gradient of the cross-entropy is zero in float32: PGD has nothing to
    follow. The router goes by brightness: two levels move its logit by one.
    """
    network = build_network(ARCHITECTURE, **SCALE, generator=torch.Generator())
    router = network.router
    with torch.no_grad():
        router.extractor[0].weight.fill_(1.0)
        router.extractor[1].bias.fill_(100.0)
        levels = torch.tensor([THRESHOLD, THRESHOLD + 1])[:, None, None, None].expand(2, 3, 8, 8) / 255
        features = router.eval().extractor((levels - 0.5) / 0.25).mean((1, 2, 3))
        for linear, weight in ((router.type_head[0], [[1.0]]), (router.type_head[2], [[1.0], [0.0]])):
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.zero_()
        router.type_head[2].weight[0] = 0.5 / (features[1] - features[0])
        router.type_head[2].bias[0] = -router.type_head[2].weight[0, 0] * features[0]
        for branch, shown in ((network.norm.clean, 1.0), (network.norm.adversarial, 0.0)):
            branch.weight.zero_()
            branch.bias.fill_(shown)
        network.head.weight.zero_()
        network.head.weight[1] = 2 * margin / network.head.in_features
        network.head.bias.copy_(torch.tensor([margin, 0.0, -5 * margin, -5 * margin]))
    return network.eval()


@pytest.fixture
def misses() -> np.ndarray:
    """By how many grey levels each image of class 0 is too dark to be taken for clean: odd numbers from 3 to 29."""
    return 2 * numpy_stream("misses").integers(1, 15, TEST) + 1


@pytest.fixture
def fooled(misses: np.ndarray) -> np.ndarray:
    """Which images 8 grey levels change: those of class 0 that are less than that too dark; the first one is wrong."""
    found = (misses < 8) & (np.arange(TEST) % 2 == 0)
    found[0] = True
    return found


@pytest.fixture
def data(tmp_path: Path, misses: np.ndarray) -> Path:
    """Grey images of class 0, dark, and class 1, bright; the first of class 0 is bright too."""
    folder = tmp_path / "data" / "grey"
    labels = np.arange(TEST) % 2
    values = np.where(labels == 0, THRESHOLD - misses, THRESHOLD + 60)
    values[0] = THRESHOLD + 20
    arrays = {
        "train_images": np.zeros((4, 8, 8, 3), np.uint8),
        "train_labels": np.arange(4),
        "test_images": np.broadcast_to(values.astype(np.uint8)[:, None, None, None], (TEST, 8, 8, 3)).copy(),
        "test_labels": labels.astype(np.int64),
        "validation": np.arange(0),
    }
    return write_dataset(folder, arrays, classes="abcd")


@pytest.fixture
def gated(tmp_path: Path, data: Path) -> Path:
    """A finished run of that network."""
    folder = tmp_path / "gated"
    folder.mkdir()
    save_file(gate().state_dict(), folder / "model.safetensors")
    write_record(folder, data)
    return folder


def write_record(folder: Path, data: Path) -> None:
    names = [path.name for path in folder.glob("*.safetensors")]
    cell = a_cell(architecture=GATE, method=method("awnet"), seed=0)
    finish(folder, cell, files=names, data=load(data).checksum)


Measured = Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]]


@pytest.fixture
def measure(gated: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Run the command, in shards of 10; returns the content of adaptive.json and the arrays. Options by name."""
    monkeypatch.setattr(adaptive, "SHARD", 10)

    def call(*, run: Path = gated, weights: tuple[float, ...] = (0.1, 10.0), **changes: Any) -> Any:
        options = {"epsilon": EPSILON, "step_size": 2 / 255, "steps": 8, "restarts": 2, "batch_size": 10} | changes
        words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        places = ["--run", str(run), "--data", str(data), "--out", str(run)]
        main(["adaptive", *places, *words, "--weights", *map(str, weights)])
        content = json.loads((run / "adaptive.json").read_text())
        found = {**content["result"]["last"], **content["result"], "options": content["options"]}
        return found, dict(np.load(run / "adaptive.npz", allow_pickle=False))

    return call


def test_it_finds_what_pgd_does_not(measure: Measured, fooled: np.ndarray) -> None:
    found, arrays = measure()
    assert 0.15 < fooled.mean() < 0.5
    assert found["clean"] == {"error": pytest.approx(100 / TEST), "n": TEST}
    # Zero gradients: PGD moves nothing.
    assert found["pgd"] == found["clean"]
    assert (found["adaptive"]["error"], found["adaptive"]["n"]) == (pytest.approx(100 * fooled.mean()), TEST)
    assert np.array_equal(arrays["robust"][-1], ~fooled)
    by_weight = found["adaptive"]["weights"]
    assert [entry["weight"] for entry in by_weight] == [0.1, 10.0]
    assert sum(entry["fooled"] for entry in by_weight) == fooled.sum() - 1
    # Taken for clean are the bright ones: all of class 1 and the first as they are, the fooled ones too in the end. The
    # first, which is wrong, is not attacked.
    router = found["router"]
    assert router["suspected"] == {"percent": pytest.approx(100 * (TEST // 2 - 1) / TEST), "n": TEST}
    assert router["trusted"] == {
        "percent": pytest.approx(100 * (TEST // 2 + fooled.sum() - 1) / (TEST - 1)),
        "n": TEST - 1,
    }
    assert found["options"]["weights"] == [0.1, 10.0] and found["options"]["restarts"] == 2
    assert found["versions"]["torch"] and found["hardware"]["device"] == "cpu"


class Quick(ensemble.AutoAttack):  # type: ignore[misc]
    """AutoAttack with a tenth of the iterations."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for attack in (self.apgd, self.apgd_targeted):
            attack.n_iter = attack.n_iter_orig = 10
        self.fab.n_iter = 5
        self.square.n_queries = 50


def test_the_ordinary_attacks_go_through_the_router(
    gated: Path, data: Path, fooled: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is less sure, the class depends on the image through the router alone: every change is found there."""
    monkeypatch.setattr(ensemble, "AutoAttack", Quick)
    save_file(gate(margin=2.0).state_dict(), gated / "model.safetensors")
    write_record(gated, data)
    places = ["--run", str(gated), "--data", str(data), "--out", str(gated)]
    attack = ["--epsilon", str(EPSILON), "--step-size", str(2 / 255), "--steps", "8", "--restarts", "1"]
    more = ["--batch-size", "24", "--version", "standard"]
    main(["adversarial", *places, *attack, *more])
    found = json.loads((gated / "adversarial.json").read_text())["result"]["last"]
    assert found["clean"]["error"] == pytest.approx(100 / TEST)
    for kind in ("pgd", "autoattack"):
        assert found[kind]["error"] == pytest.approx(100 * fooled.mean())


def test_the_images_lie_in_the_ball_and_give_the_same_errors_again(
    measure: Measured, data: Path, fooled: np.ndarray
) -> None:
    found, arrays = measure()
    images, index = arrays["images"], arrays["index"][:10]
    clean = load(data).test_images[index].transpose(0, 3, 1, 2).astype(np.float64) / 255
    assert images.dtype == np.float32 and np.abs(images - clean).max() <= EPSILON + 1e-6
    with torch.no_grad():
        right = gate()(torch.from_numpy(images)).argmax(1).numpy() == arrays["label"][:10]
    assert np.array_equal(right, ~fooled[index])
    again = found["adaptive"]["again"]
    assert (again["error"], again["changed"]) == (found["adaptive"]["error"], 0)
    assert again["distance"] <= EPSILON + 1e-6 and again["lowest"] >= 0 and again["highest"] <= 1


def test_results_do_not_depend_on_the_batch(measure: Measured) -> None:
    _, first = measure(batch_size=3)
    _, second = measure(batch_size=7)
    for name in ("images", "robust"):
        assert np.array_equal(first[name], second[name])


def test_both_weights_are_attacked_where_there_are_two(measure: Measured, gated: Path, data: Path) -> None:
    other = gate()
    with torch.no_grad():
        # Takes everything for clean: class 1 always.
        other.router.type_head[2].bias[0] += 1000
    save_file(other.state_dict(), gated / "model-best.safetensors")
    write_record(gated, data)
    found, _ = measure()
    assert found["best"]["clean"]["error"] == found["best"]["adaptive"]["error"] == 50.0
    assert found["best"]["router"] == {
        "suspected": {"percent": 0.0, "n": TEST},
        "trusted": {"percent": 100.0, "n": TEST // 2},
    }
    assert found["adaptive"]["error"] < 50


def test_where_nothing_is_left_to_attack_nothing_is_trusted(measure: Measured, gated: Path, data: Path) -> None:
    other = gate()
    with torch.no_grad():
        other.head.bias[2] = 1e6
    save_file(other.state_dict(), gated / "model.safetensors")
    write_record(gated, data)
    found, _ = measure()
    assert found["clean"]["error"] == found["adaptive"]["error"] == 100.0
    assert found["router"]["trusted"] is None


def test_a_part_of_the_test_images(measure: Measured) -> None:
    found, arrays = measure(test_images=12)
    assert found["adaptive"]["n"] == found["clean"]["n"] == len(arrays["index"]) == 12


def test_a_killed_evaluation_goes_on_and_ends_in_the_same_bytes(
    measure: Measured, gated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure()
    expected = [(gated / name).read_bytes() for name in ("adaptive.json", "adaptive.npz")]
    for name in ("adaptive.json", "adaptive.npz"):
        (gated / name).unlink()
    put, parts = partial_results.put, []

    def interrupted(folder: Path, name: str, *arguments: Any, **keywords: Any) -> None:
        put(folder, name, *arguments, **keywords)
        parts.append(name)
        if len(parts) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(partial_results, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert not (gated / "adaptive.json").exists()
    measure()
    # Three shards, of which the last one was left.
    assert parts == ["last-0000", "last-0001", "last-0002"]
    assert [(gated / name).read_bytes() for name in ("adaptive.json", "adaptive.npz")] == expected


def test_a_network_without_router_is_refused(measure: Measured, run: Path) -> None:
    with pytest.raises(EwsError, match=r"deceives a router, and the network of method 'vanilla' has none"):
        measure(run=run)


def test_in_the_euclidean_norm_it_stays_in_that_ball(measure: Measured) -> None:
    found, _ = measure(norm="L2", epsilon=0.5, step_size=0.1)
    again = found["adaptive"]["again"]
    assert 0.3 < again["distance"] <= 0.5 + 1e-5
    assert found["options"]["norm"] == "L2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": (0.0,)}, r"--weights 0\.0: .*greater than 0"),
        ({"weights": (1.0, float("inf"))}, "--weights inf: "),
        ({"weights": (1.0, 1.0)}, "--weights 1.0 1.0: .*stands twice"),
        ({"restarts": 0}, "--restarts 0: "),
        ({"epsilon": 8}, "--epsilon 8: "),
        ({"steps": 0}, "--steps 0: "),
        ({"steps": 3}, r"^ews evaluate adaptive: steps = 3 times .* the attack cannot reach its radius"),
    ],
)
def test_bad_options_are_named(measure: Measured, gated: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        measure(**changes)
    assert not (gated / "adaptive.json").exists()


# --- the attack itself, on a random network in float64


@pytest.fixture
def lively() -> tuple[Network, Tensor, Tensor, Tensor]:
    """A network whose router says something of every image; images, labels, starts."""
    architecture = ARCHITECTURE | {"dynamic": {"name": "awnet", "extractor": [8]}}
    network = build_network(architecture, **SCALE, generator=torch_stream("attack", "network")).double().eval()
    for head in network.router.signal_heads:
        nn.init.normal_(head.weight, generator=torch_stream("attack", "heads"))
    images = torch.rand(5, 3, 8, 8, generator=torch_stream("attack", "images"), dtype=torch.float64)
    start = images + EPSILON * (2 * torch.rand(5, 3, 8, 8, generator=torch_stream("attack", "starts")) - 1)
    return network, images, torch.arange(5) % 4, start


ATTACK: dict[str, Any] = {"epsilon": EPSILON, "step_size": 3 / 255, "steps": 4}


@pytest.mark.parametrize("norm", [{}, {"norm": "L2", "epsilon": 0.5, "step_size": 0.1}], ids=["Linf", "L2"])
def test_without_weight_it_is_pgd(lively: tuple[Network, Tensor, Tensor, Tensor], norm: dict[str, Any]) -> None:
    network, images, labels, start = lively
    given = ATTACK | norm
    found = deceive(network, images, labels, **given, weight=0.0, initial=start)
    plain = pgd(network, images, labels, **given, start="none", loss="cross_entropy", generator=None, initial=start)
    assert not torch.equal(found, start)
    assert torch.equal(found, plain)


def test_it_ascends_both_losses(lively: tuple[Network, Tensor, Tensor, Tensor]) -> None:
    network, images, labels, start = lively
    expected = torch.min(torch.max(start, images - EPSILON), images + EPSILON).clamp(0, 1)
    for _ in range(ATTACK["steps"]):
        expected = expected.detach().requires_grad_()
        types = network.router((expected - 0.5) / 0.25)[1].log_softmax(1)
        value = F.cross_entropy(network(expected), labels, reduction="sum") - 2.5 * types[:, 1].sum()
        expected = expected + ATTACK["step_size"] * torch.autograd.grad(value, expected)[0].sign()
        expected = torch.min(torch.max(expected, images - EPSILON), images + EPSILON).clamp(0, 1)
    found = deceive(network, images, labels, **ATTACK, weight=2.5, initial=start)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-12)
    plain = deceive(network, images, labels, **ATTACK, weight=0.0, initial=start)
    shares = []
    for shown in (plain, found):
        with torch.no_grad(), routing(network) as call:
            network(shown)
        assert call.types is not None
        shares.append(float(call.types.softmax(1)[:, 0].mean()))
    assert shares[1] > shares[0]


def test_the_attack_refuses_what_it_cannot_do(lively: tuple[Network, Tensor, Tensor, Tensor]) -> None:
    network, images, labels, start = lively
    with pytest.raises(ValueError, match="weights: -1"):
        deceive(network, images, labels, **ATTACK, weight=-1, initial=start)
    with pytest.raises(ValueError, match="steps"):
        deceive(network, images, labels, **(ATTACK | {"steps": 0}), weight=1.0, initial=start)
    plain = build_network({"network": "cifar_resnet", "depth": 8, "width": 4}, **SCALE).eval().double()
    with pytest.raises(EwsError, match="no router"):
        deceive(plain, images, labels, **ATTACK, weight=1.0, initial=start)
