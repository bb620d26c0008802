"""How the weights of a network's filters are distributed, layer by layer; no images are needed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ews.core.errors import EwsError
from ews.models.network import Network
from ews.pipeline.artifacts.run_files import BEST, LAST
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.filters.filters_spec import FiltersFindings, FiltersOptions, LayerFilters
from ews.pipeline.evaluate.subject import Subject

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histograms:
    """Counts of a layer's weights: in its standard deviations, and in units of 1 / sqrt(fan-in), int64 [bins] each."""

    standard: NDArray[np.int64]
    plain: NDArray[np.int64]


def evaluate(subject: Subject, options: FiltersOptions, making: Making) -> Evaluation[FiltersFindings]:
    """Describe the convolutions of the last epoch's weights and, where validation images selected one, of that epoch.

    The stem and the blocks are described, not the linear head and not the router of a dynamic network. All is computed
    in float64.

    Args:
        subject: what to measure.
        options: how weights are counted.
        making: not used.

    Returns:
        a row per convolution; of the last epoch's weights ``standard`` and ``plain``, int64 [layers, bins], counts of
        weights over ``edges``, [bins + 1], in the layer's standard deviations and in 1 / sqrt(fan-in), those beyond
        the ends left out; ``weights``, int64 [layers], how many there are; ``layers``, their names; ``norms``, the norm
        of every filter, those of a layer one after the other.

    Raises:
        EwsError: a layer's weights are not finite, or all alike.
    """
    found = {
        key: filters(subject.network(name)) for key, name in (("last", LAST), ("best", BEST)) if subject.run.has(name)
    }
    described = {
        key: tuple(
            describe(layer, weight, near_zero=options.near_zero, where=str(subject.run.folder))
            for layer, weight in layers.items()
        )
        for key, layers in found.items()
    }
    edges = np.linspace(-options.reach, options.reach, options.bins + 1)
    histograms = [histogram(weight, edges) for weight in found["last"].values()]
    return Evaluation(
        FiltersFindings(last=described["last"], best=described.get("best")),
        arrays={
            "layers": np.array(list(found["last"]), dtype=np.str_),
            "edges": edges,
            "standard": np.array([one.standard for one in histograms]),
            "plain": np.array([one.plain for one in histograms]),
            "weights": np.array([weight.size for weight in found["last"].values()], dtype=np.int64),
            "norms": np.concatenate([norms(weight) for weight in found["last"].values()]),
        },
    )


def filters(network: Network) -> dict[str, Array]:
    """Return the kernels of the stem and of the blocks by name, in their order, float64 [filters, fan-in] each."""
    named = [(name, module) for name, module in network.named_modules() if name.split(".")[0] in ("stem", "blocks")]
    return {
        name: module.weight.detach().double().cpu().flatten(1).numpy()
        for name, module in named
        if isinstance(module, nn.Conv2d)
    }


def describe(layer: str, weight: Array, *, near_zero: float, where: str) -> LayerFilters:
    """Describe one convolution.

    Args:
        layer: its name.
        weight: [filters, fan-in].
        near_zero: bound on the absolute value, in standard deviations of the layer.
        where: whose it is, for messages.

    Raises:
        EwsError: the weights are not finite, or all alike.
    """
    if not np.isfinite(weight).all():
        raise EwsError(f"{where}: weights of {layer} are not finite: this training run has diverged.")
    deviation = float(weight.std())
    if deviation == 0:
        raise EwsError(f"{where}: the weights of {layer} are all {weight.flat[0]:g}: they have no distribution.")
    lengths = norms(weight)
    return LayerFilters(
        layer=layer,
        filters=weight.shape[0],
        fan_in=weight.shape[1],
        mean=float(weight.mean()),
        mean_absolute=float(np.abs(weight).mean()),
        deviation=deviation,
        # By Jensen's inequality at least 1, but for rounding.
        kurtosis=max(1.0, float((((weight - weight.mean()) / deviation) ** 4).mean())),
        near_zero=100 * float((np.abs(weight) < near_zero * deviation).mean()),
        norm=float(lengths.mean()),
        norm_deviation=float(lengths.std()),
        norm_gini=100 * gini(lengths),
    )


def norms(weight: Array) -> Array:
    """Return the Euclidean norm of each filter, [filters]."""
    found: Array = np.linalg.norm(weight, axis=1)
    return found


def gini(values: Array) -> float:
    """Return the Gini coefficient of values [n] of at least 0, not all 0: half their relative mean difference."""
    ordered, count = np.sort(values), len(values)
    ranks = np.arange(1, count + 1)
    # Rounding can make it a little less than nothing where all are alike.
    return max(0.0, float(((2 * ranks - count - 1) * ordered).sum() / (count * ordered.sum())))


def histogram(weight: Array, edges: Array) -> Histograms:
    """Count the weights [filters, fan-in] of a layer between edges [bins + 1]."""
    return Histograms(
        standard=np.histogram(weight / weight.std(), edges)[0].astype(np.int64),
        plain=np.histogram(weight * weight.shape[1] ** 0.5, edges)[0].astype(np.int64),
    )
