"""AutoAugment."""
