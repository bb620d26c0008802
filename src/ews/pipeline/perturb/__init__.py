"""Perturbation sequences as files."""
