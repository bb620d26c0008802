"""How weak are the subnets that each search strategy finds on fixed trained networks?

    python benchmarks/search.py --runs results/runs/digits/resnet8_thin/standard/vanilla/seed* \
        --data data/digits --out benchmarks/results

The runs are vanilla trainings of the pipeline that differ in their seed. On each, every strategy searches on batches of
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
from common import EWS, machine, machine_line
from torch import Tensor

from ews.data.dataset import Dataset, load
from ews.errors import EwsError, run
from ews.evaluate.subject import LAST, Subject, check_data, read_record
from ews.files import write_json, write_text
from ews.models.network import Network
from ews.report.statistics import interval, paired
from ews.subnets.search import build
from ews.subnets.subnet import Subnet

PAPER = {key: EWS[key] for key in ("samples", "learning_rate", "baseline_decay")}
FAST = {"samples": 8, "learning_rate": 3.0e-3, "baseline_decay": 0.9}
# Row -> strategy, what its policy has other than the paper's values, updates.
ROWS: dict[str, tuple[str, dict[str, Any], int]] = {
    "random": ("random", PAPER, 0),
    "l1_norm": ("l1_norm", PAPER, 0),
    "gradient": ("gradient", PAPER, 0),
    "bandit, 60 updates at the paper's settings": ("bandit", PAPER, 60),
    "learned, 60 updates at the paper's settings": ("learned", PAPER, 60),
    "bandit, 200 fast updates": ("bandit", FAST, 200),
    "learned, 200 fast updates": ("learned", FAST, 200),
}
POLICY = ("samples", "learning_rate", "betas", "entropy_bonus", "baseline_decay", "gradient_clip", "hidden")


def floats(images: np.ndarray) -> Tensor:
    """Return uint8 [N, H, W, 3] as float32 [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255


def accuracy(network: Network, images: Tensor, labels: Tensor, subnet: Subnet, batch: int) -> Tensor:
    """Return a subnet's accuracy in [0, 1], scalar; every batch is normalised by itself."""
    with torch.no_grad():
        answers = [network(part, subnet).argmax(1) for part in images.split(batch)]
    return (torch.cat(answers) == labels).float().mean()


def weakness(row: str, network: Network, dataset: Dataset, *, width: float, subnets: int, batch: int) -> list[float]:
    """Return the accuracies on test images, percent, of ``subnets`` subnets that a strategy finds."""
    name, changes, updates = ROWS[row]
    search = build(
        name,
        network=network,
        width=width,
        rounding=EWS["rounding"],
        device="cpu",
        seed=0,
        policy={key: EWS[key] for key in POLICY} | changes,
    )
    generator = torch.Generator().manual_seed(0)
    indices = dataset.training_indices(None)
    images, labels = floats(dataset.train_images[indices]), torch.from_numpy(np.array(dataset.train_labels[indices]))
    count = len(dataset.test_labels) // batch * batch
    test = floats(dataset.test_images[:count]), torch.from_numpy(np.array(dataset.test_labels[:count]))

    def draw() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(labels), (batch,), generator=generator)
        return images[rows], labels[rows]

    for _ in range(updates):
        part = draw()

        def reward(found: list[Subnet], part: tuple[Tensor, Tensor] = part) -> Tensor:
            return torch.stack([accuracy(network, *part, subnet, batch) for subnet in found])

        search.update(reward, generator)
    found = []
    for _ in range(subnets):
        if name == "gradient":
            # What training has anyway: the backward of the full pass on a batch.
            x, y = draw()
            F.cross_entropy(network(x), y).backward()
            network.zero_grad(set_to_none=True)
            search.observe()
        found.append(100 * float(accuracy(network, *test, search.sample(generator), batch)))
    return found


def measure(runs: Sequence[Path], dataset: Dataset, *, width: float, subnets: int, batch: int) -> list[dict[str, Any]]:
    """Return a row per strategy: mean accuracy of its subnets by run."""
    found: dict[str, dict[int, float]] = {row: {} for row in ROWS}
    for number, folder in enumerate(runs):
        record = read_record(folder)
        check_data(folder, record, dataset)
        subject = Subject(
            run=folder,
            record=record,
            dataset=dataset,
            test_images=None,
            device=torch.device("cpu"),
            code="",
            work=folder,
        )
        for row in ROWS:
            # In training mode for the capture of effects; running statistics do not enter a subnet.
            network = subject.network(LAST).train()
            values = weakness(row, network, dataset, width=width, subnets=subnets, batch=batch)
            found[row][number] = float(np.mean(values))
    random = found["random"]
    rows = []
    for row, by_run in found.items():
        mean, low, high = interval(list(by_run.values()))
        against = None if row == "random" else paired(by_run, random)
        difference = None if against is None else {"mean": against.mean, "low": against.low, "high": against.high}
        rows.append({"strategy": row, "mean": mean, "low": low, "high": high, "against_random": difference})
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
        f"Paper's settings: {_listed(PAPER)}; fast: {_listed(FAST)}.",
        "",
        machine_line(result["machine"]),
        "",
        "| strategy | accuracy | minus random |",
        "|---|---:|---:|",
    ]
    for row in result["rows"]:
        other = row["against_random"]
        lines.append(f"| {row['strategy']} | {_interval(row)} | {'' if other is None else _interval(other, '+')} |")
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
    parser.add_argument("--width", type=float, default=EWS["width"], help="rho")
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
    first = read_record(options.runs[0])["cell"]
    result = {
        "machine": machine(torch.device("cpu"), options.threads),
        "settings": {
            "runs": [str(folder) for folder in options.runs],
            "network": first["architecture"]["name"],
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
    run(main)
