"""Adversarial weight perturbation."""
