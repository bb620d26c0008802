"""``python -m ews``: the same as the command ``ews``."""

from ews.cli import entry

if __name__ == "__main__":
    entry()
