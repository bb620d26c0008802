"""Adaptive sharpness-aware minimisation."""
