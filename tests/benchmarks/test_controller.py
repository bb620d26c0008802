"""The benchmark of the controller: the accuracy that it makes up, and the page it writes."""

import json
import sys
from pathlib import Path

import pytest
import torch
from helpers.benchmark import call
from helpers.sizes import size

from ews.models.network import Network
from ews.models.space import choices

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import common  # noqa: E402
import controller  # noqa: E402

CPU = common.Setting(device=torch.device("cpu"), bfloat16=False, compiled=False)


@pytest.fixture(scope="module")
def network() -> Network:
    return common.build("resnet18_thin", CPU)


def test_accuracy_falls_linearly_with_the_harmful_half_that_is_kept(network: Network) -> None:
    kept = network.space.kept_channels(size(0.7))
    harm = controller.Harm(network, kept, seed=0)
    orders = [
        torch.cat([harmful.nonzero()[:, 0], (1 - harmful).nonzero()[:, 0]]) for _, _, harmful, _, _ in harm.layers
    ]
    assert [int(harmful.sum()) for _, _, harmful, _, _ in harm.layers] == [4, 4, 8, 8, 16, 16, 32, 32]
    both = [(True, True)] * len(kept)

    def accuracy(shift: int) -> float:
        """Keep the harmful half first, but for ``shift`` channels of the first block."""
        channels = [order[:count] for order, (count,) in zip(orders, kept, strict=True)]
        channels[0] = orders[0][shift : shift + kept[0][0]]
        return float(harm([choices(both, [[one] for one in channels])])[0])

    # Of 8 channels 6 are kept, 2 to 4 of them harmful: each one less is half of the way, in one of eight layers.
    assert [accuracy(shift) for shift in (0, 1, 2)] == pytest.approx([0.0, 1 / 16, 1 / 8], abs=1e-6)
    best = choices(both, [[order.flip(0)[:count]] for order, (count,) in zip(orders, kept, strict=True)])
    assert float(harm([best])[0]) == pytest.approx(1.0, abs=1e-6)
    random = controller.build("random", network, size(0.7))
    generator = torch.Generator().manual_seed(0)
    assert float(harm([random.sample(generator) for _ in range(200)]).mean()) == pytest.approx(0.5, abs=0.03)


def test_largest_entropy_is_that_of_resnet18_in_the_documentation() -> None:
    built = common.build("resnet18", CPU)
    found = controller.largest_entropy(built, built.space.kept_channels(common.EWS))
    assert found == pytest.approx(7072.5, abs=0.1)
    assert "7,072.5" in (ROOT / "docs" / "ews.md").read_text(encoding="utf-8")


def test_it_runs_and_its_page_has_every_row(tmp_path: Path) -> None:
    arguments = ("--network", "resnet18_thin", "--updates", 3, "--window", 2, "--seeds", 0, 1, "--draws", 2)
    call(controller.main, *arguments, "--out", tmp_path)
    result = json.loads((tmp_path / "controller.json").read_text(encoding="utf-8"))
    assert [row["row"] for row in result["rows"]] == ["selected", "draw", "no bonus"]
    for row in result["rows"]:
        assert [run["seed"] for run in row["runs"]] == [0, 1]
        assert all(0 <= run["last"] <= 1 and run["entropy_share"] == pytest.approx(1, abs=0.01) for run in row["runs"])
    start = result["start"]
    assert start["draw"]["value"] > 10 * start["selected"]["value"] > 0
    page = (tmp_path / "controller.md").read_text(encoding="utf-8")
    assert "| draw | 0." in page and "| entropy `selected`, nats |" in page and "3 updates" in page
