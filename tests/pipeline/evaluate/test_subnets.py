"""Errors of random subnets: at full width the network's own, in a small space those of each, alike for all networks."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.datasets import write_dataset
from helpers.runs import a_cell, finish
from helpers.science import build_network
from safetensors.torch import save_file

from ews.core.errors import EwsError
from ews.core.seeds import numpy_stream, torch_stream
from ews.data.dataset import Dataset, load
from ews.models.network import Network
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.evaluate import partial_results
from ews.pipeline.evaluate.evaluate_command import main
from ews.pipeline.evaluate.subnets import subnets
from ews.pipeline.evaluate.subnets.subnets_scores import DEVIATION, FULL, MEAN, SCORING, WEAK
from ews.pipeline.evaluate.subnets.subnets_spec import SPEC, SubnetsFindings, SubnetsOptions

IMAGES = 40
NARROW = {"network": "cifar_resnet", "depth": 8, "width": 1}
"""At width 0.55 three of the last block's four channels are kept, and all others: four subnets."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset of noise, sorted by class, of which all but the first and the last image are held out."""
    random = numpy_stream("images")
    arrays = {
        "train_images": random.integers(0, 256, (IMAGES + 2, 8, 8, 3)).astype(np.uint8),
        "train_labels": np.sort(np.arange(IMAGES + 2) % 4),
        "test_images": np.zeros((4, 8, 8, 3), np.uint8),
        "test_labels": np.arange(4),
        "validation": np.arange(1, IMAGES + 1),
    }
    return write_dataset(tmp_path / "data" / "grey", arrays, classes="abcd")


def make_run(folder: Path, data: Path, *, seed: str = "n", network: dict[str, Any] = NARROW) -> Path:
    folder.mkdir(parents=True)
    built = build_network(network, classes=4, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream(seed))
    for name, buffer in built.named_buffers():
        if name.endswith("running_mean"):
            buffer += 0.1
    save_file(built.state_dict(), folder / "model.safetensors")
    architecture = {"name": "narrow", "parameters": network, "dynamic": None}
    finish(folder, a_cell(architecture=architecture), files=["model.safetensors"], data=load(data).checksum)
    return folder


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    return make_run(tmp_path / "run", data)


def measure(run: Path, data: Path, **changes: Any) -> tuple[Any, dict[str, np.ndarray]]:
    options = {"count": 6, "width": 0.55, "rounding": "ceil", "statistics": "batch", "batch_size": 20, "seed": 0}
    words = [str(word) for key, value in (options | changes).items() for word in (f"--{key.replace('_', '-')}", value)]
    main(["subnets", "--run", str(run), "--data", str(data), "--out", str(run), *words])
    return json.loads((run / "subnets.json").read_text())["result"], dict(np.load(run / "subnets.npz"))


def network_of(run: Path, data: Path) -> tuple[Network, Dataset]:
    dataset = load(data)
    device = torch.device("cpu")
    return read_network(FinishedRun.open(run), "model.safetensors", dataset=dataset, device=device), dataset


@torch.no_grad()
def wrong(network: Network, dataset: Dataset, index: np.ndarray, batch: int) -> int:
    """How many images a network gets wrong in its present mode, batch by batch."""
    count = 0
    for part in np.split(index, range(batch, len(index), batch)):
        images = torch.from_numpy(dataset.train_images[part]).permute(0, 3, 1, 2).float() / 255
        count += int((network(images).argmax(1).numpy() != dataset.train_labels[part]).sum())
    return count


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_at_full_width_every_subnet_is_the_network(statistics: str, run: Path, data: Path) -> None:
    found, arrays = measure(run, data, width=1.0, statistics=statistics)
    network, dataset = network_of(run, data)
    # In training mode a network normalises by the batch.
    network.train(statistics == "batch")
    expected = wrong(network, dataset, arrays["index"], 20)
    assert arrays["wrong"].tolist() == [expected] * 6
    share = 100 * expected / IMAGES
    assert (found["full"], found["mean"], found["deviation"]) == (share, share, 0)
    assert {one["error"] for one in found["quantiles"]} == {share} and found["n"] == IMAGES
    assert sorted(arrays["index"]) == list(range(1, IMAGES + 1))
    # Neither the order of the classes nor that of the files.
    assert len(set(dataset.train_labels[arrays["index"][:20]])) == 4


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_in_a_small_space_errors_are_those_of_its_subnets(statistics: str, run: Path, data: Path) -> None:
    found, arrays = measure(run, data, count=240, statistics=statistics)
    network, dataset = network_of(run, data)
    every = []
    for dropped in range(4):
        masked = copy.deepcopy(network).train(statistics == "batch")
        # What reads the channel that the subnet lacks.
        masked.blocks[2].convs[1].weight.data[:, dropped] = 0
        every.append(wrong(masked, dataset, arrays["index"], 20))
    assert len(set(every)) > 1
    counts = [sum(arrays["wrong"] == one) for one in every]
    assert set(arrays["wrong"]) == set(every)
    # Each of the four is drawn about 60 times.
    expected = [60 * every.count(one) for one in every]
    assert np.abs(np.array(counts) - expected).max() < 4 * np.sqrt(240 * 0.5 * 0.5)
    errors = 100 * arrays["wrong"] / IMAGES
    assert found["mean"] == pytest.approx(errors.mean()) and found["deviation"] == pytest.approx(errors.std())
    quantiles = {one["share"]: one["error"] for one in found["quantiles"]}
    assert (quantiles[0], quantiles[1]) == (errors.min(), errors.max())
    assert quantiles[0.95] == pytest.approx(np.quantile(errors, 0.95))


def test_networks_of_one_architecture_are_measured_on_the_same_subnets(tmp_path: Path, run: Path, data: Path) -> None:
    first, _ = measure(run, data, width=0.7)
    second, _ = measure(make_run(tmp_path / "other", data, seed="m"), data, width=0.7)
    wider = {**NARROW, "width": 4}
    third, _ = measure(make_run(tmp_path / "wide", data, network=wider), data, width=0.7)
    seeded, _ = measure(run, data, width=0.7, seed=1)
    assert first["subnets"] == second["subnets"]
    assert len({first["subnets"], third["subnets"], seeded["subnets"]}) == 3
    assert first["full"] != second["full"]


def test_paths_are_dropped_where_the_width_says_so(run: Path, data: Path) -> None:
    options = {"count": 50, "rounding": "expected", "statistics": "batch", "batch_size": 20, "seed": 0}
    network, _ = network_of(run, data)
    drawn = subnets.draw(network, SubnetsOptions(width=0.6, **options), device=torch.device("cpu"))
    kept = [(block.residual, block.shortcut) for subnet in drawn for block in subnet.blocks]
    assert set(kept) == {(True, True), (True, False), (False, True)}
    found, _ = measure(run, data, width=0.3)
    assert found["deviation"] > 0


def test_what_was_measured_before_is_not_measured_again(run: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, arrays = measure(run, data, count=120)
    (run / "subnets.json").unlink()
    (run / "subnets.npz").unlink()
    done = []

    def killed(*given: Any, **more: Any) -> Any:
        done.append(len(given[1]))
        if len(done) == 2:
            raise KeyboardInterrupt
        return original(*given, **more)

    original = subnets.wrong
    monkeypatch.setattr(subnets, "wrong", killed)
    with pytest.raises(KeyboardInterrupt):
        measure(run, data, count=120)
    again, resumed = measure(run, data, count=120)
    # 50 before the kill; then 50, 20 and the whole network.
    assert done == [50, 50, 50, 20, 1]
    assert again == whole and np.array_equal(resumed["wrong"], arrays["wrong"])


def test_other_options_use_nothing_of_before(run: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = partial_results.put

    def put_and_stop(*given: Any, **more: Any) -> None:
        put(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(partial_results, "put", put_and_stop)
    with pytest.raises(KeyboardInterrupt):
        measure(run, data)
    monkeypatch.setattr(partial_results, "put", put)
    _, arrays = measure(run, data, statistics="running")
    for path in run.glob("subnets.*"):
        path.unlink()
    _, fresh = measure(run, data, statistics="running")
    assert np.array_equal(arrays["wrong"], fresh["wrong"])


def test_a_logit_that_is_not_finite_is_wrong(run: Path, data: Path) -> None:
    network, dataset = network_of(run, data)
    network.head.bias.data[0] = float("nan")
    whole = network.space.everything(device="cpu")
    pixels = torch.from_numpy(np.array(dataset.train_images[:8]))
    assert subnets.wrong(network, [whole], [pixels], torch.zeros(8).long(), by_running=True).tolist() == [8]


def test_what_cannot_be_measured_is_refused(tmp_path: Path, run: Path, data: Path) -> None:
    with pytest.raises(EwsError, match="41"):
        measure(run, data, images=IMAGES + 1)
    arrays = {name: np.load(data / f"{name}.npy") for name in ("train_images", "train_labels", "test_images")}
    arrays |= {"test_labels": np.arange(4), "validation": np.arange(0)}
    bare = write_dataset(tmp_path / "bare" / "grey", arrays, classes="abcd")
    with pytest.raises(EwsError, match="has no validation images"):
        measure(make_run(tmp_path / "lone", bare), bare)


def test_networks_that_change_with_their_input_have_none() -> None:
    assert SPEC.applies(a_cell())
    dynamic = {"name": "awnet", "parameters": {"extractor": [4]}}
    architecture = a_cell().architecture.model_dump(mode="json") | {"dynamic": dynamic}
    assert not SPEC.applies(a_cell(architecture=architecture))


def test_tables_get_the_mean_the_weak_and_the_spread() -> None:
    given = {"width": 0.7, "rounding": "ceil", "statistics": "batch", "batch_size": 128, "seed": 0}
    options = SubnetsOptions(count=300, images=1000, **given)
    counts = np.arange(101) * 10
    found = subnets.summarise(counts, full=200, images=1000, subnets="0" * 64)
    scores = {name: score.error for name, score in SCORING.scores(found, options).items()}
    assert scores == {MEAN: 50, WEAK: 95, DEVIATION: pytest.approx(np.arange(101).std()), FULL: 20}
    (text,) = SCORING.explain(options, {MEAN: "1,000"})
    assert "300 random subnets of width 0.7" in text and "on 1,000 validation images" in text
    assert "at most 128 images" in text
    shuffled = found.model_dump(mode="json")
    shuffled["quantiles"][0], shuffled["quantiles"][1] = shuffled["quantiles"][1], shuffled["quantiles"][0]
    with pytest.raises(ValueError, match="not in order"):
        SubnetsFindings.model_validate_json(json.dumps(shuffled))
