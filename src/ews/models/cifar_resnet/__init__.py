"""The thin residual networks for 32x32 images."""
