"""Where a network can drop activations during training, by name; nothing here brings torch."""

from typing import Literal

Place = Literal["residual", "hidden", "block"]
"""``residual``: single elements of each residual branch's output, just before the shortcut is added. ``hidden``: whole
channels, those inside the branches that a subnet may lack. ``block``: whole channels of each block's output."""
