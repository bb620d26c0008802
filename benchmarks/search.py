"""How weak are the subnets that each search strategy finds on fixed trained networks?

    python benchmarks/search.py --runs results/runs/digits/resnet8_thin/standard/vanilla/seed* \
        --data data/digits --out benchmarks/results

The runs are vanilla runs of the pipeline that differ in their seed. On each, every strategy searches on batches of
training images (those that learn, with and without enough updates to do so; the weights never change); then the
accuracy of its subnets is measured on test images, which no search has seen, in batches, since subnets normalise by
the batch. Writes ``search.json`` and ``.md``: means over the runs with 95 % t intervals, and differences to random
subnets of the same run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import EWS, changed, machine, machine_line
from torch import Tensor

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.data.dataset import Dataset, load
from ews.models.network import Network
from ews.models.subnet import Subnet
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.run_files import LAST
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.report.statistics import interval, paired
from ews.subnets.search import build

RELEASED = {key: getattr(EWS, key) for key in ("samples", "learning_rate", "baseline_decay")}
FAST = {"samples": 8, "baseline_decay": 0.9}
# One rate moves an LSTM's logits further than a bandit's, whose every logit is a parameter: each has a grid of its own.
RATES = {"bandit": (3.0e-3, 3.0e-2, 3.0e-1), "learned": (3.0e-3, 1.0e-2)}
# Row -> strategy, what its policy has other than the released values, updates.
ROWS: dict[str, tuple[str, dict[str, Any], int]] = {
    **{name: (name, RELEASED, 0) for name in ("random", "l1_norm", "gradient")},
    **{f"{name}, released settings, 60 updates": (name, RELEASED, 60) for name in RATES},
    **{
        f"{name}, C = 8, rate {rate:g}, 200 updates": (name, {**FAST, "learning_rate": rate}, 200)
        for name, rates in RATES.items()
        for rate in rates
    },
}
LAST_UPDATES = 50


def floats(images: np.ndarray) -> Tensor:
    """Return uint8 [N, H, W, 3] as float32 [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255


def accuracy(network: Network, images: Tensor, labels: Tensor, subnet: Subnet, batch: int) -> Tensor:
    """Return a subnet's accuracy in [0, 1], scalar; every batch is normalised by itself."""
    with torch.no_grad():
        answers = [network(part, subnet).argmax(1) for part in images.split(batch)]
    return (torch.cat(answers) == labels).float().mean()


def weakness(
    row: str, network: Network, dataset: Dataset, *, width: float, subnets: int, batch: int
) -> tuple[list[float], float | None]:
    """Search, then measure.

    Returns:
        accuracies on test images, percent, of ``subnets`` subnets; mean accuracy on training images, percent, of those
        that the last updates drew, None without updates.
    """
    name, changes, updates = ROWS[row]
    parameters = changed(EWS, {"width": width, "search": name, **changes})
    search = build(name, network, parameters)
    generator = torch.Generator().manual_seed(0)
    indices = dataset.training_indices(None)
    images, labels = floats(dataset.train_images[indices]), torch.from_numpy(np.array(dataset.train_labels[indices]))
    count = len(dataset.test_labels) // batch * batch
    test = floats(dataset.test_images[:count]), torch.from_numpy(np.array(dataset.test_labels[:count]))

    def draw() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(labels), (batch,), generator=generator)
        return images[rows], labels[rows]

    rewards = []
    for _ in range(updates):
        part = draw()

        def reward(found: list[Subnet], part: tuple[Tensor, Tensor] = part) -> Tensor:
            return torch.stack([accuracy(network, *part, subnet, batch) for subnet in found])

        rewards.append(100 * float(search.update(reward, generator)["reward"]))
    found = []
    for _ in range(subnets):
        if name == "gradient":
            # What training has anyway: the backward of the full pass on a batch.
            x, y = draw()
            F.cross_entropy(network(x), y).backward()
            network.zero_grad(set_to_none=True)
            search.observe()
        found.append(100 * float(accuracy(network, *test, search.sample(generator), batch)))
    return found, float(np.mean(rewards[-LAST_UPDATES:])) if rewards else None


def measure(runs: Sequence[Path], dataset: Dataset, *, width: float, subnets: int, batch: int) -> list[dict[str, Any]]:
    """Return a row per strategy: mean accuracy of its subnets by run."""
    found: dict[str, dict[int, float]] = {row: {} for row in ROWS}
    rewards: dict[str, list[float]] = {row: [] for row in ROWS}
    for number, folder in enumerate(runs):
        run = FinishedRun.open(folder)
        run.check_data(dataset)
        for row in ROWS:
            # In training mode for the capture of effects; running statistics do not enter a subnet.
            network = read_network(run, LAST, dataset=dataset, device=torch.device("cpu")).train()
            values, reward = weakness(row, network, dataset, width=width, subnets=subnets, batch=batch)
            found[row][number] = float(np.mean(values))
            rewards[row] += [] if reward is None else [reward]
    random = found["random"]
    rows = []
    for row, by_run in found.items():
        mean, low, high = interval(list(by_run.values()))
        against = None if row == "random" else paired(by_run, random)
        difference = None if against is None else {"mean": against.mean, "low": against.low, "high": against.high}
        rows.append({"strategy": row, "mean": mean, "low": low, "high": high, "against_random": difference})
        rows[-1]["reward"] = float(np.mean(rewards[row])) if rewards[row] else None
    return sorted(rows, key=lambda one: one["mean"])


def markdown(result: dict[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# How weak the subnets of each strategy are",
        "",
        f"Accuracy in percent of subnets of width {settings['width']} of {len(settings['runs'])} vanilla networks "
        f"({settings['network']} on {settings['dataset']}), weakest first: the mean over {settings['subnets']} subnets "
        f"per network on {settings['test_images']} test images, then mean and 95 % t interval over the networks. "
        f"Released settings: {_listed(RELEASED)}; with C = 8: {_listed(FAST)}. `reward`: the same for the accuracy on "
        "the batches of training images of the last 50 updates, which a rate can be chosen by.",
        "",
        machine_line(result["machine"]),
        "",
        "| strategy | accuracy | minus random | reward |",
        "|---|---:|---:|---:|",
    ]
    for row in result["rows"]:
        other = row["against_random"]
        cells = [_interval(row), "" if other is None else _interval(other, "+")]
        cells.append("" if row["reward"] is None else f"{row['reward']:.2f}")
        lines.append(f"| {row['strategy']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in values.items())


def _interval(value: dict[str, Any], sign: str = "") -> str:
    ends = "" if value["low"] is None else f" [{value['low']:{sign}.2f}, {value['high']:{sign}.2f}]"
    return f"{value['mean']:{sign}.2f}{ends}"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", type=Path, required=True, help="folders of trained runs")
    parser.add_argument("--data", type=Path, required=True, help="the dataset's folder")
    parser.add_argument("--width", type=float, default=EWS.width, help="rho")
    parser.add_argument("--subnets", type=int, default=40, help="measured per strategy and network")
    parser.add_argument("--batch", type=int, default=100, help="images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = load(options.data)
    if len(dataset.test_labels) < options.batch:
        raise EwsError(f"--batch {options.batch}: the dataset has {len(dataset.test_labels)} test images.")
    rows = measure(options.runs, dataset, width=options.width, subnets=options.subnets, batch=options.batch)
    first = FinishedRun.open(options.runs[0]).record.cell
    result = {
        "machine": machine(torch.device("cpu"), options.threads),
        "settings": {
            "runs": [str(folder) for folder in options.runs],
            "network": first.architecture.name,
            "dataset": dataset.name,
            "test_images": len(dataset.test_labels) // options.batch * options.batch,
            "width": options.width,
            "subnets": options.subnets,
            "batch": options.batch,
        },
        "rows": rows,
    }
    write_json(options.out / "search.json", result)
    text = markdown(result)
    write_text(options.out / "search.md", text)
    print(text)


if __name__ == "__main__":
    finished(main)
