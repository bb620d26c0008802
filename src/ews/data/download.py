"""Fetching an archive so that only a whole, verified file ever appears under its name."""

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from filelock import FileLock, Timeout

from ews.core.errors import EwsError
from ews.core.redaction import redacted
from ews.data.sources import Source
from ews.data.transfer import (
    CHUNK,
    PATIENCE,
    AddressFailed,
    AttemptBroken,
    Patience,
    length_of,
    progress,
    say,
    stream,
)


def fetch(source: Source, *, downloads: Path, mirror: str | None = None, patience: Patience = PATIENCE) -> Path:
    """Return the verified archive of a source in the cache, fetching it if it is not there.

    Addresses in order: ``mirror``, the environment's ``EWS_MIRROR``, the source's own. Each is
    resumed where the last attempt broke off. Bytes go to ``<file>.part``, which takes the file's
    name only after its size and checksums are right. A second process waits for the first.

    Args:
        source: one with an archive (``file``, ``size``, ``checksum``).
        downloads: the cache's folder.
        mirror: a folder or a URL that has the file under the same name.
        patience: how long servers are waited for.

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
                say(f"{target}: {problem}; fetching it again")
                target.unlink()
            _fetch(source, downloads / f"{source.file}.part", mirror, patience)
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


def _fetch(source: Source, part: Path, mirror: str | None, patience: Patience) -> None:
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
            _from(address, part, source, patience)
            problem = mismatch(part, source)
            if problem and resumed and _is_url(address):
                # The older bytes may be the bad ones: they came from another run or another address.
                say(f"{address}: {problem}; starting over")
                part.unlink()
                _from(address, part, source, patience)
                problem = mismatch(part, source)
            if not problem:
                return
            part.unlink()
            raise AddressFailed(f"{problem}. It is damaged or another version, and was deleted")
        except AddressFailed as error:
            problems.append(redacted(f"  {address}: {error}."))
            say(f"{address}: {error}")
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


def _from(address: str, part: Path, source: Source, patience: Patience) -> None:
    """Complete ``part`` from one address, or raise ``AddressFailed``."""
    assert source.file is not None and source.size is not None
    if not _is_url(address):
        folder = Path(unquote(urlsplit(address).path)) if address.startswith("file://") else Path(address).expanduser()
        _copy(folder / source.file, part, source.size)
        return
    best, failures = length_of(part), 0
    while length_of(part) < source.size:
        began = time.monotonic()
        try:
            stream(address, part, file=source.file, size=source.size, patience=patience)
        except AttemptBroken as error:
            reached = length_of(part)
            # Only bytes never had before count, and only as many as were worth the wait: a server that cannot resume,
            # or that brings a little each time, would be asked for ever.
            worth = patience.slowest * (time.monotonic() - began)
            failures = 0 if reached - best > worth else failures + 1
            best = max(best, reached)
            if failures >= patience.attempts:
                raise AddressFailed(
                    f"{error}; gave up after {patience.attempts} attempts in a row that brought nothing new"
                ) from None
            wait = min(max(error.wait, patience.backoff * 2**failures), patience.longest)
            say(f"{address}: {error}; again in {wait:.0f} s")
            time.sleep(wait)


def _copy(file: Path, part: Path, size: int) -> None:
    try:
        found = file.stat().st_size
        if found != size:
            raise AddressFailed(
                f"wrong size: expected {size} bytes, {file} has {found}. The copy is truncated or another file"
            )
        opened = file.open("rb")
    except OSError as error:
        raise AddressFailed(f"{file} cannot be read ({error.strerror})") from None
    with opened, part.open("wb") as target, progress(file.name, size, 0) as advance:
        while chunk := opened.read(CHUNK):
            target.write(chunk)
            advance(len(chunk))


@contextlib.contextmanager
def _alone(lock: Path, file: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FileLock(lock, timeout=0))
        except Timeout:
            say(f"{file}: another process is fetching it; waiting")
            stack.enter_context(FileLock(lock, timeout=-1))
        yield


def _need_room(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < size - length_of(part):
        raise OSError(errno.ENOSPC, "No space left on device")


def _disk(error: OSError, folder: Path, size: int) -> EwsError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EwsError(f"{folder}: the disk is full; {size / 1e6:.0f} MB are needed. Make room, then run again.")
    return EwsError(
        f"{folder}: cannot be written or read ({error.strerror or error}). Check the permissions and the disk."
    )
