"""Standard augmentation."""
