"""Pre-activation ResNet-18."""
