"""One answer of a server, appended to a file: whole, in bounded time, or a sentence why not."""

import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from ews.core.redaction import redacted

CHUNK = 2**18  # bytes
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may pass
# What a file may not be where its server says so; an archive is none of these.
PAGES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        connect: seconds to connect.
        silence: seconds between two pieces of an answer.
        answer: seconds until an answer begins, its redirections and headers included.
        window: seconds in which ``slowest`` bytes a second have to arrive on average.
        slowest: bytes a second.
        attempts: that bring nothing new, or too little, in a row; then the next address.
        backoff: seconds before the first repetition; doubles each time.
        longest: seconds between two attempts at most.
    """

    connect: float = 15.0
    silence: float = 60.0
    answer: float = 120.0
    window: float = 120.0
    slowest: float = 10_000.0
    attempts: int = 5
    backoff: float = 1.0
    longest: float = 60.0


PATIENCE = Patience()


class AddressFailed(Exception):
    """This address will not do."""


class AttemptBroken(Exception):
    """This attempt broke off; another one may succeed, not before ``wait`` seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def stream(url: str, part: Path, *, file: str, size: int, patience: Patience) -> None:
    """Append to ``part`` what one request brings.

    Args:
        url: of the file.
        part: what has arrived of it so far.
        file: its name, for the progress.
        size: bytes that it has to have.
        patience: how long to wait.

    Raises:
        AddressFailed: the address has another file, or none, or is too slow.
        AttemptBroken: it may have the file the next time.
    """
    begun = length_of(part)
    # identity, and the raw stream below: some servers label a .tar.gz as encoded, and it would be unpacked on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with _answer(url, headers, patience) as response:
            _accept(response, part, begun)
            if response.status_code == 200:
                begun = 0  # the server does not resume: this is the whole file
            _check_announced(response, size, begun)
            with part.open("ab" if begun else "wb") as target, progress(file, size, begun) as advance:
                clock, before = time.monotonic(), target.tell()
                # What is there, as long as it comes: waiting for a whole piece a slow server could last for ever.
                while chunk := response.raw.read1(CHUNK, decode_content=False):
                    if target.tell() + len(chunk) > size:
                        part.unlink()
                        raise AddressFailed(f"wrong size: expected {size} bytes, the server sends more")
                    target.write(chunk)
                    advance(len(chunk))
                    passed = time.monotonic() - clock
                    if passed >= patience.window:
                        if target.tell() - before < patience.slowest * passed:
                            raise AddressFailed(
                                f"too slow: {target.tell() - before} bytes in {passed:.0f} s. What has arrived is kept"
                            )
                        clock, before = time.monotonic(), target.tell()
    except requests.exceptions.SSLError as error:
        raise AddressFailed(f"no secure connection ({_short(error)})") from None
    except requests.Timeout:
        raise AttemptBroken("no answer in time") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError) as error:
        problem = f"connection failed or broke off at {length_of(part)} of {size} bytes ({_short(error)})"
        raise AttemptBroken(problem) from None
    except (requests.RequestException, ValueError) as error:  # no address, or one that redirects for ever or to none
        raise AddressFailed(_short(error)) from None
    if length_of(part) < size:
        raise AttemptBroken(f"broke off at {length_of(part)} of {size} bytes")


def _answer(url: str, headers: dict[str, str], patience: Patience) -> requests.Response:
    """Return the beginning of an answer, in time however slowly its headers come.

    Each read of a socket has a limit of its own, but nothing limits their number: so another thread waits, which is
    left to itself where it takes too long.
    """
    found: list[requests.Response | Exception] = []

    def ask() -> None:
        try:
            timeout = (patience.connect, patience.silence)
            found.append(requests.get(url, headers=headers, stream=True, timeout=timeout))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience.answer)
    if not found:
        raise requests.Timeout
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _accept(response: requests.Response, part: Path, begun: int) -> None:
    """Raise unless the answer is the whole file or its rest from ``begun``."""
    status = response.status_code
    reason = f"{status} {''.join(filter(str.isprintable, response.reason or ''))[:60]}".strip()
    if status in TEMPORARY:
        later = response.headers.get("Retry-After", "")
        raise AttemptBroken(reason, wait=float(later) if later.isdecimal() and later.isascii() else 0.0)
    if status == 416 and begun:
        part.unlink()
        raise AttemptBroken("the server refuses to resume; starting over")
    if status == 206:
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if not begun or not start or int(start[1]) != begun:
            part.unlink(missing_ok=True)
            raise AttemptBroken("the server resumes at the wrong place; starting over")
    elif status in (401, 403, 407):
        raise AddressFailed(f"{reason}: the server wants a user's name and password, or does not give the file to you")
    elif status != 200:
        raise AddressFailed(reason)


def _check_announced(response: requests.Response, size: int, begun: int) -> None:
    """Raise if the answer says itself that it is something else."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    length = response.headers.get("Content-Length", "")
    other = length.isdecimal() and length.isascii() and begun + int(length) != size
    if kind in PAGES and (other or not length):
        raise AddressFailed(f"the server sends a web page ({kind}) instead of the file; open it in a browser")
    if other:
        packed = response.headers.get("Content-Encoding", "")
        note = f", compressed ({''.join(filter(str.isalnum, packed))[:20]}) on the way" if packed else ""
        raise AddressFailed(f"wrong size: expected {size} bytes, the server offers {begun + int(length)}{note}")


def _short(error: BaseException) -> str:
    """The innermost reason of an error of requests or urllib3, without the objects it names."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    return str(getattr(inner, "reason", inner)).rsplit(": ", 1)[-1].strip("()'\". ")


@contextlib.contextmanager
def progress(label: str, total: int, done: int) -> Iterator[Callable[[int], object]]:
    """Yield a function that counts bytes: a bar in a terminal, a line every 10 % in a log."""
    if sys.stderr.isatty():
        with tqdm(desc=label, total=total, initial=done, unit="B", unit_scale=True) as bar:
            yield bar.update
        return
    tenth = 10 * done // total

    def advance(count: int) -> None:
        nonlocal done, tenth
        done += count
        if 10 * done // total > tenth:
            tenth = 10 * done // total
            say(f"{label}: {10 * tenth} % of {total / 1e6:.1f} MB")

    yield advance


def length_of(part: Path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    return part.stat().st_size if part.exists() else 0


def say(text: str) -> None:
    """Tell the person who waits, without the secrets of addresses."""
    print(redacted(text), file=sys.stderr, flush=True)
