"""Corrupted images as files: of a dataset, of a folder of pictures, of an array."""
