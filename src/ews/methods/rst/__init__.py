"""Robust self-training."""
