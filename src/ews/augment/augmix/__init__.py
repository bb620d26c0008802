"""AugMix."""
