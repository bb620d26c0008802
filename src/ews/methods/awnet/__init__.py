"""AW-Net's training."""
