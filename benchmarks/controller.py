"""Does the controller learn at the released settings, and what does the form of its entropy change?

    python benchmarks/controller.py --out benchmarks/results

No network is trained, and no image is read: the subnets are those of ResNet-18, and their accuracy is made up. A random
half of the channels of each layer is fixed, and a subnet's accuracy falls linearly from 1 to 0 with how many of these
it keeps, from the fewest to the most that its size allows, averaged over the layers. Subnets drawn uniformly have 1/2
on average, and the controller is to lower it. This is kinder than a training run, whose rewards are noise for the most
part and whose network changes. Writes ``controller.json`` and ``.md``: for each form of the entropy and each seed the
mean accuracy of the first and of the last updates; how large the entropy and its slope are at the start; and the
entropy of the draw at the end, as a share of that of a uniform policy.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import CLASSES, EWS, NETWORKS, changed, machine, machine_line
from torch import Tensor

from ews import models
from ews.core.console import finished
from ews.core.files import write_json, write_text
from ews.core.seeds import torch_stream
from ews.models.network import Head, Network
from ews.models.subnet import Subnet
from ews.subnets.search import build
from ews.subnets.search.policy_gradient import PolicyGradient

# Row -> form of the entropy, factor of the bonus.
ROWS: dict[str, tuple[str, float]] = {
    "selected": ("selected", 1.0),
    "draw": ("draw", 1.0),
    "no bonus": ("selected", 0.0),
}
FORMS = ("selected", "draw")


class Harm:
    """The accuracy that is made up: 1 less the share of the harmful half that a subnet keeps, averaged over layers."""

    def __init__(self, network: Network, kept: Sequence[Sequence[int]], *, seed: int) -> None:
        """Fix the harmful half of every layer.

        Args:
            network: whose subnets are measured.
            kept: for each block and layer how many channels a subnet keeps.
            seed: of the choice.
        """
        generator = torch_stream("benchmark controller", seed)
        self.layers: list[tuple[int, int, Tensor, int, int]] = []
        for b, (block, counts) in enumerate(zip(network.space.blocks, kept, strict=True)):
            for layer, (total, count) in enumerate(zip(block.channels, counts, strict=True)):
                harmful = torch.zeros(total)
                harmful[torch.randperm(total, generator=generator)[: total // 2]] = 1
                fewest, most = max(0, count - (total - total // 2)), min(count, total // 2)
                self.layers.append((b, layer, harmful, fewest, most))

    def __call__(self, subnets: list[Subnet]) -> Tensor:
        """Return the accuracies [C] in [0, 1]."""
        return torch.stack([self._of(subnet) for subnet in subnets])

    def _of(self, subnet: Subnet) -> Tensor:
        shares = [
            (harmful[subnet.blocks[b].channels[layer]].sum() - fewest) / (most - fewest)
            for b, layer, harmful, fewest, most in self.layers
        ]
        return 1 - torch.stack(shares).mean()


def slopes(search: PolicyGradient, harm: Harm, *, draws: int, seed: int) -> dict[str, dict[str, float]]:
    """Return what stands in the loss at the start, averaged over single draws.

    Returns:
        for each form of the entropy ``value`` (nats) and ``slope``, the norm of its gradient in the parameters times
        the bonus; for ``reward`` the mean and the norm of the gradient of log pi times the reward's distance from its
        mean; and for each ``alike``, the mean cosine of the gradients of two draws.
    """
    generator = torch_stream("benchmark slopes", seed)
    parameters = list(search.policy.parameters())
    middle = float(torch.stack([harm(search.draw(1, generator).subnets) for _ in range(draws)]).mean())
    values: dict[str, list[float]] = {name: [] for name in (*FORMS, "reward")}
    gradients: dict[str, list[Tensor]] = {name: [] for name in values}
    for _ in range(draws):
        drawn = search.draw(1, generator)
        terms = {form: search.settings.entropy_bonus * drawn.entropy(form).mean() for form in FORMS}
        accuracy = harm(drawn.subnets)
        terms["reward"] = (drawn.log_likelihood() * (accuracy - middle)).mean()
        for name, term in terms.items():
            slope = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
            gradients[name].append(torch.cat([one.flatten() for one in slope if one is not None]))
            shown = accuracy.mean() if name == "reward" else term.detach() / search.settings.entropy_bonus
            values[name].append(float(shown))
    found = {}
    for name, rows in gradients.items():
        matrix = torch.stack(rows)
        norms = matrix.norm(dim=1)
        cosines = (matrix / norms[:, None]) @ (matrix / norms[:, None]).T
        alike = float((cosines.sum() - draws) / (draws * (draws - 1)))
        found[name] = {"value": sum(values[name]) / draws, "slope": float(norms.mean()), "alike": alike}
    return found


def learned(network: Network, row: str, *, seed: int, updates: int, window: int) -> dict[str, float]:
    """Train a controller; return mean accuracies of its first and last updates, and the entropy of its draws then."""
    form, factor = ROWS[row]
    parameters = changed(EWS, {"entropy": form, "entropy_bonus": factor * EWS.entropy_bonus})
    search = build("learned", network, parameters, seed=seed)
    assert isinstance(search, PolicyGradient)
    harm = Harm(network, search.kept, seed=seed)
    generator = torch_stream("benchmark draws", seed)
    before = time.process_time()
    rewards = torch.stack([search.update(harm, generator)["reward"] for _ in range(updates)])
    seconds = time.process_time() - before
    with torch.no_grad():
        entropy = float(search.draw(32, generator).entropy("draw").mean())
    return {
        "first": float(rewards[:window].mean()),
        "last": float(rewards[-window:].mean()),
        "entropy_share": entropy / largest_entropy(network, search.kept),
        "seconds": seconds,
    }


def largest_entropy(network: Network, kept: Sequence[Sequence[int]]) -> float:
    """Return the entropy of a uniform policy's draws, the sum of ln n! / (n - k)!, in nats."""
    counts = [
        (total, count)
        for block, layers in zip(network.space.blocks, kept, strict=True)
        for total, count in zip(block.channels, layers, strict=True)
        if count < total
    ]
    n, k = torch.tensor(counts, dtype=torch.float64).T
    return float((torch.lgamma(n + 1) - torch.lgamma(n - k + 1)).sum())


def measure(network: Network, *, seeds: Sequence[int], updates: int, window: int, draws: int) -> dict[str, Any]:
    """Return the rows, and the sizes at the start."""
    rows = []
    for row in ROWS:
        runs = [learned(network, row, seed=seed, updates=updates, window=window) for seed in seeds]
        rows.append({"row": row, "runs": [{"seed": seed, **run} for seed, run in zip(seeds, runs, strict=True)]})
    search = build("learned", network, EWS, seed=seeds[0])
    assert isinstance(search, PolicyGradient)
    start = slopes(search, Harm(network, search.kept, seed=seeds[0]), draws=draws, seed=seeds[0])
    return {"rows": rows, "start": start, "largest_entropy": largest_entropy(network, search.kept)}


def markdown(result: dict[str, Any]) -> str:
    """Return the result as a page."""
    settings, start = result["settings"], result["start"]
    lines = [
        "# What the controller learns by the form of its entropy",
        "",
        f"The subnets of `{settings['network']}` ({settings['channels']} channels in the widest layer), width "
        f"{settings['width']}, C = {settings['samples']}, Adam at rate {settings['learning_rate']:g}, bonus "
        f"{settings['entropy_bonus']:g}, decay of the baseline {settings['baseline_decay']:g}, gradient clipped at "
        f"{settings['gradient_clip']:g}; {settings['updates']:,} updates. The accuracy is made up: it falls linearly "
        "from 1 to 0 with how many of a fixed random half of each layer's channels a subnet keeps; a uniform policy "
        f"has 0.5, and the search is to lower it. First and last: means over {settings['window']} updates, each seed. "
        "Entropy at the end: of the draw, as a share of the "
        f"{result['largest_entropy']:,.1f} nats of a uniform policy.",
        "",
        machine_line(result["machine"]),
        "",
        "| `entropy` | accuracy, first | accuracy, last | entropy of the draw at the end | processor, s |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        runs = row["runs"]
        cells = [_each(runs, key) for key in ("first", "last")]
        cells.append(", ".join(f"{run['entropy_share']:.1%}" for run in runs))
        cells.append(f"{sum(run['seconds'] for run in runs):.0f}")
        lines.append(f"| {row['row']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"What pulls at the parameters at the start, means over {settings['draws']} draws of the first seed's policy: "
        "a term's value, and the norm of its gradient as it stands in the loss (times the bonus; for the reward, of "
        "log pi times the accuracy's distance from its mean). Alike: the mean cosine of the gradients of two draws.",
        "",
        "| term | value | gradient | alike |",
        "|---|---:|---:|---:|",
    ]
    for name in (*FORMS, "reward"):
        title = "accuracy" if name == "reward" else f"entropy `{name}`, nats"
        value, slope, alike = (start[name][key] for key in ("value", "slope", "alike"))
        lines.append(f"| {title} | {value:,.2f} | {slope:.3g} | {alike:.3f} |")
    return "\n".join([*lines, ""])


def _each(runs: Sequence[dict[str, float]], key: str) -> str:
    return ", ".join(f"{run[key]:.2f}" for run in runs)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="resnet18", help="whose subnets")
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--window", type=int, default=100, help="updates that are averaged at both ends")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=32, help="of which the sizes at the start are means, at least 2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = machine(torch.device("cpu"), options.threads)
    head = Head(classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=torch_stream("benchmark network"))
    network = models.build(NETWORKS[options.network][0], head)
    counts = {"updates": options.updates, "window": options.window, "draws": options.draws}
    result = {
        "machine": found,
        "settings": {
            "network": options.network,
            "channels": max(total for block in network.space.blocks for total in block.channels),
            "seeds": options.seeds,
            **counts,
            **{
                key: getattr(EWS, key)
                for key in ("width", "samples", "learning_rate", "entropy_bonus", "baseline_decay", "gradient_clip")
            },
        },
        **measure(network, seeds=options.seeds, **counts),
    }
    write_json(options.out / "controller.json", result)
    text = markdown(result)
    write_text(options.out / "controller.md", text)
    print(text)


if __name__ == "__main__":
    finished(main)
