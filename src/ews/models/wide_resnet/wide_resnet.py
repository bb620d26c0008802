"""Wide residual networks WRN-d-k (Zagoruyko and Komodakis 2016)."""

from torch import nn

from ews.models.block import BlockSpec, Unit
from ews.models.network import Head, Network
from ews.models.wide_resnet.wide_resnet_spec import WideResNetParameters

STEM = 16


def wide_resnet(parameters: WideResNetParameters, head: Head) -> Network:
    """Declare three stages of (depth - 4) / 6 pre-activation blocks with 16k, 32k, 64k channels.

    With ``init: he`` the head's biases start at zero, as in the authors' code of EWS.
    """
    count = (parameters.depth - 4) // 6
    blocks = []
    inputs = STEM
    for stage in range(3):
        channels = STEM * parameters.widen * 2**stage
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            units = (Unit(channels, 3, stride), Unit(channels, 3, 1))
            same = stride == 1 and inputs == channels
            blocks.append(BlockSpec(units, "identity" if same else "projection", preactivation=True))
            inputs = channels
    network = Network(stem=STEM, blocks=blocks, head=head, parameters=parameters)
    if parameters.init == "he":
        nn.init.zeros_(network.head.bias)
    return network
