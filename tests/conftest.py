"""Fixtures that several folders of tests share."""

from helpers.photographs import dataset, photographs, reference

__all__ = ["dataset", "photographs", "reference"]
