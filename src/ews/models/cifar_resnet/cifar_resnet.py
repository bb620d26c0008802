"""The thin residual networks for 32x32 images: ResNet-8, -20, -32, ... (He et al. 2016, section 4.2)."""

from ews.models.block import BlockSpec, Shortcut, Unit
from ews.models.cifar_resnet.cifar_resnet_spec import CifarResNetParameters
from ews.models.network import Head, Network


def cifar_resnet(parameters: CifarResNetParameters, head: Head) -> Network:
    """Declare a network of 6n + 2 layers: three stages of n basic blocks with width, 2 and 4 times width channels.

    The shortcut that halves the image subsamples and pads with zero channels (that paper's option A, without
    weights, its choice for these networks).
    """
    count = (parameters.depth - 2) // 6
    blocks = []
    for stage in range(3):
        channels = parameters.width * 2**stage
        for i in range(count):
            halves = stage > 0 and i == 0
            units = (Unit(channels, 3, 2 if halves else 1), Unit(channels, 3, 1))
            shortcut: Shortcut = "padding" if halves else "identity"
            blocks.append(BlockSpec(units, shortcut, preactivation=False, zero_scale=parameters.zero_init_residual))
    return Network(stem=parameters.width, blocks=blocks, head=head, parameters=parameters)
