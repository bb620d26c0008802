"""Fixtures of the local server and of small archives."""

from helpers.server import cifar_files, make_png, make_tar, no_mirror, pictures, server, source_of

__all__ = ["cifar_files", "make_png", "make_tar", "no_mirror", "pictures", "server", "source_of"]
