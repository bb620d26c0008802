"""Downloads against a local server: what arrives is whole and right, or a message says why not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.server import describe

from ews.core.errors import EwsError
from ews.data import download
from ews.data.download import fetch
from ews.data.sources import Source
from ews.data.transfer import Patience

BODY = np.random.default_rng(1).bytes(3_000_000)

QUICK = Patience(backoff=0.01, slowest=1000.0)

Sources = Callable[..., Source]


@pytest.fixture
def source(server, source_of: Sources) -> Source:
    server.body = BODY
    return source_of(BODY, url=[f"{server.address}/set.tar.gz"])


def get(source: Source, folder: Path, mirror: str | None = None) -> Path:
    return fetch(source, downloads=folder, mirror=mirror, patience=QUICK)


def left(folder: Path) -> set[str]:
    """Names in the cache other than the lock."""
    return {path.name for path in folder.iterdir()} - {".set.tar.gz.lock"}


def test_a_good_download_is_cached(source: Source, server, tmp_path: Path) -> None:
    path = get(source, tmp_path / "cache")
    assert path == tmp_path / "cache" / "set.tar.gz" and path.read_bytes() == BODY
    assert left(tmp_path / "cache") == {"set.tar.gz"}
    get(source, tmp_path / "cache")
    assert len(server.seen) == 1


def test_a_broken_connection_is_resumed_where_it_broke(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["break 1000000", "break 500000"]
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == [None, "bytes=1000000-", "bytes=1500000-"]


def test_an_end_without_announced_length_is_not_taken_for_the_whole(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["silent 700000"]
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == [None, "bytes=700000-"]


def test_a_server_without_ranges_starts_over(source: Source, server, tmp_path: Path) -> None:
    server.ranges, server.plan = False, ["break 1000000"]
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == [None, "bytes=1000000-"]


@pytest.mark.parametrize("step", ["break 1000000", "silent 1000000"])
def test_a_server_without_ranges_that_always_breaks_is_given_up(
    source: Source, server, tmp_path: Path, step: str
) -> None:
    server.ranges, server.plan = False, [step] * 50
    with pytest.raises(EwsError, match="could not be fetched"):
        get(source, tmp_path)
    assert len(server.seen) <= QUICK.attempts + 1
    assert left(tmp_path) == {"set.tar.gz.part"}


def test_many_breaks_that_each_bring_something_are_no_reason_to_give_up(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["break 150000"] * (3 * QUICK.attempts)
    assert get(source, tmp_path).read_bytes() == BODY


def test_a_range_from_the_wrong_place_is_not_appended(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["break 1000000", "shifted"]
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == [None, "bytes=1000000-", None]


def test_a_truncated_file_on_the_server_is_refused(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["short 2999999"]
    with pytest.raises(EwsError, match="expected 3000000 bytes, the server offers 2999999"):
        get(source, tmp_path)
    assert not left(tmp_path)


def test_a_longer_file_without_announced_length_is_refused(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["more"]
    with pytest.raises(EwsError, match="sends more"):
        get(source, tmp_path)
    assert not left(tmp_path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_wrong_checksum_is_told_and_nothing_is_kept(
    server, source_of: Sources, tmp_path: Path, algorithm: str
) -> None:
    server.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    source = source_of(BODY, url=[f"{server.address}/x"], algorithm=algorithm)
    with pytest.raises(EwsError) as caught:
        get(source, tmp_path)
    text = str(caught.value)
    expected = source.checksum[0].partition(":")[2]
    assert f"expected {algorithm} {expected}, got " in text and "EWS_MIRROR" in text
    assert not left(tmp_path)


def test_every_checksum_has_to_agree(server, source_of: Sources, tmp_path: Path) -> None:
    server.body = BODY
    good = source_of(BODY, url=[f"{server.address}/x"], algorithm="md5")
    both = good.model_copy(update={"checksum": [*good.checksum, "sha256:" + "0" * 64]})
    with pytest.raises(EwsError, match="expected sha256 0000"):
        get(both, tmp_path)


def test_bad_bytes_of_an_earlier_run_cost_one_restart(source: Source, server, tmp_path: Path) -> None:
    (tmp_path / "set.tar.gz.part").write_bytes(b"x" * 1000)
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == ["bytes=1000-", None]


@pytest.mark.parametrize("content", [b"short", b"x" * len(BODY)])
def test_a_damaged_cached_file_is_fetched_again(source: Source, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.tar.gz").write_bytes(content)
    assert get(source, tmp_path).read_bytes() == BODY


def test_not_found_is_told_at_once(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["status 404"]
    with pytest.raises(EwsError, match="404"):
        get(source, tmp_path)
    assert len(server.seen) == 1 and not left(tmp_path)


def test_a_busy_server_is_asked_again(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["status 503", "status 429"]
    assert get(source, tmp_path).read_bytes() == BODY
    assert len(server.seen) == 3


def test_addresses_are_tried_in_order(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["status 404"]
    two = source.model_copy(update={"url": [f"{server.address}/old", *source.url]})
    assert get(two, tmp_path).read_bytes() == BODY
    assert len(server.seen) == 2


def test_an_unreachable_server_is_told(source: Source, tmp_path: Path) -> None:
    dead = source.model_copy(update={"url": ["http://127.0.0.1:9/set.tar.gz"]})
    with pytest.raises(EwsError, match=r"127\.0\.0\.1:9/set\.tar\.gz: .*refused"):
        get(dead, tmp_path)


def test_bytes_are_not_unpacked_on_the_way(source: Source, server, tmp_path: Path) -> None:
    server.headers = {"Content-Encoding": "gzip"}  # what some servers say of every .tar.gz
    assert get(source, tmp_path).read_bytes() == BODY


def test_the_mirror_comes_first(source: Source, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "set.tar.gz").write_bytes(BODY)
    assert get(source, tmp_path / "one", str(mirror)).read_bytes() == BODY
    assert get(source, tmp_path / "two", mirror.as_uri()).read_bytes() == BODY
    monkeypatch.setenv("EWS_MIRROR", str(mirror))
    assert get(source, tmp_path / "three").read_bytes() == BODY
    assert not server.seen
    nowhere = source.model_copy(update={"url": []})
    monkeypatch.setenv("EWS_MIRROR", f"{server.address}/some/folder/")
    assert get(nowhere, tmp_path / "four").read_bytes() == BODY
    assert len(server.seen) == 1


@pytest.mark.parametrize("content", [None, BODY[:-5], b"x" * len(BODY)])
def test_a_bad_mirror_is_passed_over(source: Source, server, tmp_path: Path, content: bytes | None) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if content is not None:
        (mirror / "set.tar.gz").write_bytes(content)
    assert get(source, tmp_path / "cache", str(mirror)).read_bytes() == BODY
    assert len(server.seen) == 1
    with pytest.raises(EwsError, match=r"wrong|cannot be read"):
        get(source.model_copy(update={"url": []}), tmp_path / "other", str(mirror))
    assert not left(tmp_path / "other")


def test_no_address_says_what_to_set(source_of: Sources, tmp_path: Path) -> None:
    with pytest.raises(EwsError, match=r"no public address.*EWS_MIRROR or as mirror in params\.yaml"):
        get(source_of(BODY), tmp_path)


def test_a_full_disk_is_told_before_anything_is_written(
    source: Source, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(EwsError, match="disk is full"):
        get(source, tmp_path)
    assert not server.seen and not left(tmp_path)


def test_a_disk_that_fills_up_is_told(source: Source, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "set.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(EwsError, match="disk is full"):
        get(source, tmp_path)


HASTY = Patience(silence=0.3, answer=0.6, window=0.3, slowest=10_000.0, attempts=2, backoff=0.01, longest=0.05)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("hang", "no answer in time; gave up after 2 attempts"),
        ("headers", "no answer in time; gave up after 2 attempts"),
        ("drip", r"too slow: \d+ bytes in 0 s\. What has arrived is kept"),
        ("stall 2000000", r"broke off at \d+ of 3000000 bytes \(Read timed out"),
        ("redirect", "Exceeded 30 redirects"),
        ("away", "No connection adapters were found"),
        ("page", r"sends a web page \(text/html\) instead of the file"),
        ("gzip", r"wrong size: expected 3000000 bytes, the server offers \d+, compressed \(gzip\) on the way"),
        ("nonsense", "connection failed or broke off at 0 of 3000000 bytes"),
        ("status 401", "401 .*wants a user's name and password"),
        ("status 403", "403 .*or does not give the file to you"),
        ("status 404", "404 Not Found"),
        ("status 410", "410 Gone"),
        ("status 500", "500 Internal Server Error; gave up after 2 attempts"),
        ("break 100", "broke off at 100 of 3000000 bytes.*; gave up after 2 attempts"),
        ("silent 0", "broke off at 0 of 3000000 bytes; gave up after 2 attempts"),
    ],
)
def test_whatever_a_server_does_ends_in_one_sentence_soon(
    source: Source, server, tmp_path: Path, step: str, message: str
) -> None:
    server.plan, server.ranges = [step] * 100, False
    began = time.monotonic()
    with pytest.raises(EwsError, match=message) as caught:
        fetch(source, downloads=tmp_path, patience=HASTY)
    assert "EWS_MIRROR" in str(caught.value) and time.monotonic() - began < 20
    assert not (tmp_path / "set.tar.gz").exists()


def test_what_came_too_slowly_is_resumed(server, tmp_path: Path) -> None:
    server.body = b"x" * 3000
    slow = describe(server.body, url=[f"{server.address}/set.tar.gz"])
    server.plan = ["drip"]
    with pytest.raises(EwsError, match="too slow"):
        fetch(slow, downloads=tmp_path, patience=HASTY)
    reached = (tmp_path / "set.tar.gz.part").stat().st_size
    assert reached
    assert fetch(slow, downloads=tmp_path, patience=HASTY).read_bytes() == server.body
    assert server.seen == [None, f"bytes={reached}-"]


def test_a_little_at_each_attempt_is_given_up(source: Source, server, tmp_path: Path) -> None:
    """A server that sends some bytes and then nothing for a while, each time."""
    server.plan = ["stall 1"] * 100
    began = time.monotonic()
    with pytest.raises(EwsError, match="gave up after 2 attempts"):
        fetch(source, downloads=tmp_path, patience=HASTY)
    assert len(server.seen) == 2 and time.monotonic() - began < 10


SECRETS = [("s3cr3t-word", "s3cr3t-word"), ("s3cr/et@w0rd", "s3cr%2Fet%40w0rd"), ("pass word", "pass%20word")]
STEPS = ["good", "status 500", "status 403", "status 404", "redirect", "page", "hang", "nonsense", "more", "dead"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("secret", "spelled"), SECRETS)
def test_the_password_of_a_mirror_is_shown_nowhere(
    source: Source, server, tmp_path: Path, step: str, secret: str, spelled: str,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    host = "127.0.0.1:9" if step == "dead" else server.address.removeprefix("http://")
    monkeypatch.setenv("EWS_MIRROR", f"http://user:{spelled}@{host}/folder")
    server.plan = [] if step in ("good", "dead") else [step] * 100
    alone = source.model_copy(update={"url": [f"http://{host}/set.tar.gz?access_token=t0ken-in-query"]})
    message = ""
    try:
        fetch(alone, downloads=tmp_path, patience=HASTY)
    except EwsError as error:
        message = str(error)
        assert "http://***@" in message and error.__cause__ is None
    assert bool(message) == (step != "good")
    out, err = capfd.readouterr()
    for text in (message, out, err):
        assert secret not in text and spelled not in text and "t0ken-in-query" not in text
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in kept and spelled.encode() not in kept


def start(source: Source, folder: Path) -> subprocess.Popen[bytes]:
    code = (
        "import json, sys, pathlib; from ews.data.download import fetch; from ews.data.sources import Source;"
        "fetch(Source.model_validate(json.loads(sys.argv[1])), downloads=pathlib.Path(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", code, json.dumps(source.model_dump()), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def test_a_killed_download_is_resumed(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["stall 2000000"]
    process = start(source, tmp_path)
    part = tmp_path / "set.tar.gz.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "set.tar.gz").exists()
    reached = part.stat().st_size
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.seen == [None, f"bytes={reached}-"]


def test_two_processes_fetch_once(source: Source, server, tmp_path: Path) -> None:
    server.plan = ["stall 1000"]
    processes = [start(source, tmp_path) for _ in range(2)]
    wait_until(lambda: bool(server.seen))
    time.sleep(1.0)  # time for the second to ask too, if nothing held it back
    server.release.set()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(server.seen) == 1 and (tmp_path / "set.tar.gz").read_bytes() == BODY
