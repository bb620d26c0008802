"""What an attack must leave alone in the network that it differentiates."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics of every normalisation as they are, bit for bit, counters included.

    In training mode the layers still normalise by the batch, in evaluation mode still by the running statistics:
    outputs are what they would be without this. The mode may change inside the block; blocks may nest. The released
    code attacks in training mode without it, so that each attack step moves the statistics that are tested with.

    Args:
        network: any module; what is restored at the end is each layer's flag, also after an error.
    """
    # In training mode a layer with running statistics and without this flag neither reads nor writes them.
    layers = [layer for layer in network.modules() if isinstance(layer, _NormBase) and layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
