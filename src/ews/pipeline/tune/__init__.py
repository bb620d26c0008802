"""Choosing the values of a study's rows by its trials, on validation images."""
