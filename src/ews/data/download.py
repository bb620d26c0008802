"""Fetching an archive so that only a whole, verified file ever appears under its name."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import requests
import urllib3
from filelock import FileLock, Timeout
from tqdm import tqdm

from ews.core.errors import EwsError
from ews.data.sources import Source

CHUNK = 2**18  # bytes
TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds between two pieces of the answer
ATTEMPTS = 5  # in a row that bring nothing new, then the next address
LONGEST_WAIT = 60.0  # seconds
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may pass


class _Failed(Exception):
    """This address will not do."""


class _Broken(Exception):
    """This attempt broke off; another one may succeed, not before ``wait`` seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(source: Source, *, downloads: Path, mirror: str | None = None, backoff: float = 1.0) -> Path:
    """Return the verified archive of a source in the cache, fetching it if it is not there.

    Addresses in order: ``mirror``, the environment's ``EWS_MIRROR``, the source's own. Each is
    resumed where the last attempt broke off. Bytes go to ``<file>.part``, which takes the file's
    name only after its size and checksums are right. A second process waits for the first.

    Args:
        source: one with an archive (``file``, ``size``, ``checksum``).
        downloads: the cache's folder.
        mirror: a folder or a URL that has the file under the same name.
        backoff: seconds before the first repetition; doubles each time.

    Raises:
        EwsError: no address is known, or none gave the right file (the message says why each
            failed, and what to do), or the disk is full or not writable.
    """
    assert source.file is not None and source.size is not None
    target = downloads / source.file
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with _alone(downloads / f".{source.file}.lock", source.file):
            if target.exists():
                if not (problem := mismatch(target, source)):
                    return target
                _say(f"{target}: {problem}; fetching it again")
                target.unlink()
            _fetch(source, downloads / f"{source.file}.part", mirror, backoff)
            (downloads / f"{source.file}.part").replace(target)
            return target
    except OSError as error:
        raise _disk(error, downloads, source.size) from None


def mismatch(path: Path, source: Source) -> str:
    """Say in what a file differs from the manifest's size and checksums; empty if in nothing."""
    size = path.stat().st_size
    if size != source.size:
        return f"wrong size: expected {source.size} bytes, got {size}"
    digests = {text.partition(":")[0]: text.partition(":")[2] for text in source.checksum}
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in digests}
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            for each in hashes.values():
                each.update(chunk)
    for name, expected in digests.items():
        if (got := hashes[name].hexdigest()) != expected:
            return f"wrong checksum: expected {name} {expected}, got {got}"
    return ""


def _fetch(source: Source, part: Path, mirror: str | None, backoff: float) -> None:
    assert source.file is not None and source.size is not None
    addresses = [f"{base.rstrip('/')}/{quote(source.file)}" if _is_url(base) else base for base in _mirrors(mirror)]
    addresses += source.url
    advice = (
        f"Put {source.file} ({source.size} bytes, {source.checksum[-1]}) into a folder or on a web server, and name "
        "that folder or URL in the environment variable EWS_MIRROR or as mirror in params.yaml."
    )
    if not addresses:
        raise EwsError(f"{source.title}: {source.file} has no public address and no mirror is set. {advice}")
    if part.exists() and part.stat().st_size > source.size:
        part.unlink()
    _need_room(part, source.size)
    problems = []
    for address in addresses:
        try:
            resumed = part.exists()
            _from(address, part, source, backoff)
            problem = mismatch(part, source)
            if problem and resumed and _is_url(address):
                # The older bytes may be the bad ones: they came from another run or another address.
                _say(f"{address}: {problem}; starting over")
                part.unlink()
                _from(address, part, source, backoff)
                problem = mismatch(part, source)
            if not problem:
                return
            part.unlink()
            raise _Failed(f"{problem}. It is damaged or another version, and was deleted")
        except _Failed as error:
            problems.append(f"  {address}: {error}.")
            _say(f"{address}: {error}")
    raise EwsError(
        "\n".join(
            [
                f"{source.title}: {source.file} could not be fetched.",
                *problems,
                "Check the connection and the mirror, then run again: what has arrived is kept and resumed.",
                f"Or: {advice}",
            ]
        )
    )


def _mirrors(argument: str | None) -> list[str]:
    given = [argument, os.environ.get("EWS_MIRROR")]
    return list(dict.fromkeys(text.strip() for text in given if text and text.strip()))


def _is_url(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def _from(address: str, part: Path, source: Source, backoff: float) -> None:
    """Complete ``part`` from one address, or raise ``_Failed``."""
    assert source.file is not None and source.size is not None
    if not _is_url(address):
        folder = Path(unquote(urlsplit(address).path)) if address.startswith("file://") else Path(address).expanduser()
        _copy(folder / source.file, part, source.size)
        return
    best, failures = _length(part), 0
    while _length(part) < source.size:
        try:
            _stream(address, part, source.file, source.size)
        except _Broken as error:
            reached = _length(part)
            # Only bytes never had before count: a server that cannot resume would be asked for ever.
            failures = 0 if reached > best else failures + 1
            best = max(best, reached)
            if failures >= ATTEMPTS:
                raise _Failed(f"{error}; gave up after {ATTEMPTS} attempts in a row that brought nothing new") from None
            wait = min(max(error.wait, backoff * 2**failures), LONGEST_WAIT)
            _say(f"{address}: {error}; again in {wait:.0f} s")
            time.sleep(wait)


def _copy(file: Path, part: Path, size: int) -> None:
    try:
        found = file.stat().st_size
        if found != size:
            raise _Failed(
                f"wrong size: expected {size} bytes, {file} has {found}. The copy is truncated or another file"
            )
        stream = file.open("rb")
    except OSError as error:
        raise _Failed(f"{file} cannot be read ({error.strerror})") from None
    with stream, part.open("wb") as target, _progress(file.name, size, 0) as advance:
        while chunk := stream.read(CHUNK):
            target.write(chunk)
            advance(len(chunk))


def _stream(url: str, part: Path, file: str, size: int) -> None:
    """Append to ``part`` what one request brings."""
    begun = _length(part)
    # identity, and the raw stream below: some servers label a .tar.gz as encoded, and it would be unpacked on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _accept(response, part, begun)
            if response.status_code == 200:
                begun = 0  # the server does not resume: this is the whole file
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and begun + int(length) != size:
                raise _Failed(f"wrong size: expected {size} bytes, the server offers {begun + int(length)}")
            with part.open("ab" if begun else "wb") as target, _progress(file, size, begun) as advance:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    if target.tell() + len(chunk) > size:
                        part.unlink()
                        raise _Failed(f"wrong size: expected {size} bytes, the server sends more")
                    target.write(chunk)
                    advance(len(chunk))
    except requests.exceptions.SSLError as error:
        raise _Failed(f"no secure connection ({_short(error)})") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects) as error:
        raise _Failed(_short(error)) from None
    except requests.Timeout:
        raise _Broken("no answer in time") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _Broken(f"connection failed or broke off at {_length(part)} of {size} bytes ({_short(error)})") from None
    if _length(part) < size:
        raise _Broken(f"broke off at {_length(part)} of {size} bytes")


def _accept(response: requests.Response, part: Path, begun: int) -> None:
    """Raise unless the answer is the whole file or its rest from ``begun``."""
    status = response.status_code
    if status in TEMPORARY:
        later = response.headers.get("Retry-After", "")
        raise _Broken(f"{status} {response.reason}", wait=float(later) if later.isdigit() else 0.0)
    if status == 416 and begun:
        part.unlink()
        raise _Broken("the server refuses to resume; starting over")
    if status == 206:
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if not begun or not start or int(start[1]) != begun:
            part.unlink(missing_ok=True)
            raise _Broken("the server resumes at the wrong place; starting over")
    elif status != 200:
        raise _Failed(f"{status} {response.reason}")


def _short(error: BaseException) -> str:
    """The innermost reason of an error of requests or urllib3, without the objects it names."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    return str(getattr(inner, "reason", inner)).rsplit(": ", 1)[-1].strip("()'\" ")


@contextlib.contextmanager
def _progress(label: str, total: int, done: int) -> Iterator[Callable[[int], object]]:
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
            _say(f"{label}: {10 * tenth} % of {total / 1e6:.1f} MB")

    yield advance


@contextlib.contextmanager
def _alone(lock: Path, file: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FileLock(lock, timeout=0))
        except Timeout:
            _say(f"{file}: another process is fetching it; waiting")
            stack.enter_context(FileLock(lock, timeout=-1))
        yield


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _need_room(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < size - _length(part):
        raise OSError(errno.ENOSPC, "No space left on device")


def _disk(error: OSError, folder: Path, size: int) -> EwsError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EwsError(f"{folder}: the disk is full; {size / 1e6:.0f} MB are needed. Make room, then run again.")
    return EwsError(
        f"{folder}: cannot be written or read ({error.strerror or error}). Check the permissions and the disk."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
