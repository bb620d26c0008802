"""Sharpness-aware minimisation."""
