"""ResNet-18, -34, -50 with the stem for small images: one 3x3 convolution, no pooling (as the paper uses on CIFAR)."""

from ews.models.block import BlockSpec, Shortcut, Unit
from ews.models.network import Head, Network
from ews.models.resnet.resnet_spec import ResNetParameters

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
EXPANSION = 4
"""Output channels of a bottleneck over its hidden ones."""


def resnet(parameters: ResNetParameters, head: Head) -> Network:
    """Declare four stages of basic (18, 34) or bottleneck (50) blocks with width, 2, 4, 8 times width channels.

    A bottleneck has its stride in the 3x3 convolution. Shortcuts that change the shape are projections.
    """
    blocks = []
    inputs = parameters.width
    for stage, count in enumerate(STAGES[parameters.depth]):
        channels = parameters.width * 2**stage
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            units: tuple[Unit, ...] = (Unit(channels, 3, stride), Unit(channels, 3, 1))
            if parameters.depth == 50:
                units = (Unit(channels, 1, 1), Unit(channels, 3, stride), Unit(EXPANSION * channels, 1, 1))
            shortcut: Shortcut = "identity" if stride == 1 and inputs == units[-1].channels else "projection"
            blocks.append(BlockSpec(units, shortcut, preactivation=False, zero_scale=parameters.zero_init_residual))
            inputs = units[-1].channels
    return Network(stem=parameters.width, blocks=blocks, head=head, parameters=parameters)
