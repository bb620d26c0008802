"""How a command ends: with one message where a person can mend what is wrong, quietly where its reader stopped."""

import os
import sys
from collections.abc import Callable

from ews.core.errors import EwsError
from ews.core.redaction import redacted


def finished(main: Callable[[], None]) -> None:
    """Run a command's ``main``.

    An :class:`EwsError` or an unusable file ends the process with one message and status 1. A reader of its output that
    has seen enough (``| head``) is no error.
    """
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except EwsError as error:
        print(redacted(f"error: {error}"), file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(redacted(f"error: {error.filename}: {error.strerror}"), file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
