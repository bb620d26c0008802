"""Pre-activation ResNet-18 for small images (He et al. 2016b), the network of adversarial training."""

from ews.models.block import BlockSpec, Unit
from ews.models.network import Head, Network
from ews.models.preact_resnet.preact_resnet_spec import PreActResNetParameters

STAGES = {18: (2, 2, 2, 2)}


def preact_resnet(parameters: PreActResNetParameters, head: Head) -> Network:
    """Declare four stages of pre-activation basic blocks with width, 2, 4, 8 times width channels.

    Projections take the activated input; the last activation is normalised before the mean over space (some
    public versions of this network leave that out).
    """
    blocks = []
    for stage, count in enumerate(STAGES[parameters.depth]):
        channels = parameters.width * 2**stage
        for i in range(count):
            halves = stage > 0 and i == 0
            units = (Unit(channels, 3, 2 if halves else 1), Unit(channels, 3, 1))
            blocks.append(BlockSpec(units, "projection" if halves else "identity", preactivation=True))
    return Network(stem=parameters.width, blocks=blocks, head=head, parameters=parameters)
