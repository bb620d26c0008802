"""A local server with bad manners, small archives, and sources that describe them."""

import contextlib
import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ews.data.sources import Source


@dataclass
class Server:
    """Serves ``body`` at every path. ``plan`` has one behaviour per coming request, then all are good.

    Behaviours: ``break N`` (promise all, send N bytes, hang up), ``short N`` (claim that N bytes are all),
    ``silent N`` (no length, N bytes, hang up), ``status CODE``, ``stall N`` (send N bytes, then wait for ``release``),
    ``shifted`` (answer a range with another one), ``more`` (send too much, no length), ``hang`` (no answer), ``drip``
    and ``headers`` (a byte, a header now and then, for good), ``redirect`` (to the same place), ``away`` (to no web
    address), ``page`` (a web page), ``gzip`` (compressed on the way), ``nonsense`` (not the protocol).
    """

    body: bytes = b""
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    seen: list[str | None] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    address: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def slowly(self, step: str) -> None:
            """Answer in a way that never ends by itself."""
            beginning = {"drip": f"HTTP/1.0 200 OK\r\nContent-Length: {len(state.body)}\r\n\r\n"}
            beginning |= {"headers": "HTTP/1.0 200 OK\r\n", "nonsense": "220 ready\r\n" * 9, "hang": ""}
            self.wfile.write(beginning[step].encode())
            pieces = {"drip": b"x", "headers": b"X-More: 1\r\n"}
            with contextlib.suppress(OSError):
                while step != "nonsense" and not state.release.wait(0.02):
                    self.wfile.write(pieces.get(step, b""))

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.seen.append(asked)
            step, _, number = (state.plan.pop(0) if state.plan else "good").partition(" ")
            body, start = state.body, 0
            if step in ("hang", "drip", "headers", "nonsense"):
                self.slowly(step)
                return
            if step in ("redirect", "away"):
                self.send_response(302)
                self.send_header("Location", self.path if step == "redirect" else "ftp://host/x")
                self.end_headers()
                return
            if step in ("page", "gzip"):
                content = b"<html>Please log in</html>" if step == "page" else gzip.compress(body)
                self.send_response(200)
                name, value = ("Content-Type", "text/html") if step == "page" else ("Content-Encoding", "gzip")
                self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            if step == "status":
                self.send_error(int(number))
                return
            if asked and state.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
                shown = start + 1 if step == "shifted" else start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
                body = body[start:]
            else:
                self.send_response(200)
            cut = int(number) if number else len(body)
            if step == "more":
                body, cut = body + b"more", len(body) + 4
            if step not in ("silent", "more"):
                self.send_header("Content-Length", str(cut if step == "short" else len(body)))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:cut])
            if step == "stall":
                self.wfile.flush()
                state.release.wait(30)
                self.wfile.write(body[cut:])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    state.address = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    state.release.set()
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tester's own environment names must not help a test."""
    monkeypatch.delenv("EWS_MIRROR", raising=False)


def describe(body: bytes, *, url: list[str] | None = None, algorithm: str = "sha256", **more: object) -> Source:
    digest = hashlib.new(algorithm, body).hexdigest()
    values: dict[str, object] = {
        "title": "Test set",
        "kind": "image_folder",
        "file": "set.tar.gz",
        "licence": "none",
        "citation": "none",
    }
    values |= {"url": url or [], "size": len(body), "checksum": f"{algorithm}:{digest}"}
    return Source.model_validate(values | more)


@pytest.fixture
def source_of() -> Callable[..., Source]:
    return describe


def pack(path: Path, files: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    """Write a tar; a TarInfo in place of content is added as it is (links and devices)."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def make_tar() -> Callable[..., Path]:
    return pack


def png(colour: tuple[int, int, int] | int, *, size: tuple[int, int] = (4, 4), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def make_png() -> Callable[..., bytes]:
    return png


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """Two classes; each image is one colour from which its place is known."""
    return {
        f"{split}/{name}/{number}.png": png((100 * row + number, 50 + number, number + (7 if split == "train" else 9)))
        for split, count in (("train", 10), ("test", 3))
        for row, name in enumerate(("cat", "dog"))
        for number in range(count)
    }


@pytest.fixture
def cifar_files() -> dict[str, bytes]:
    """A CIFAR-10 archive with 20 images a batch: image i of batch b has label i % 10 and seeded noise."""
    rng = np.random.default_rng(0)
    names = "\n".join(f"class{number}" for number in range(10)) + "\n\n"
    files = {"cifar-10-batches-bin/batches.meta.txt": names.encode(), "cifar-10-batches-bin/readme.html": b"<html>"}
    for batch in ("data_batch_5", "data_batch_2", "data_batch_1", "data_batch_3", "data_batch_4", "test_batch"):
        records = rng.integers(0, 256, size=(20, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(20) % 10
        files[f"cifar-10-batches-bin/{batch}.bin"] = records.tobytes()
    return files
