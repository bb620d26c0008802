"""Commands whose output is piped into another one, which may stop reading."""

import os
import sys
from collections.abc import Callable


def piped(main: Callable[[], None]) -> None:
    """Run a command; a reader of its output that has seen enough (``| head``) is no error."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
