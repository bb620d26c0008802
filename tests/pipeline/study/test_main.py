"""The command `ews study` at its edges."""

import subprocess
import sys


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    listing = f"{sys.executable} -m ews study list quickstart"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {listing} | true"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
