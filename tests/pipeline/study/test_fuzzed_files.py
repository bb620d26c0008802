"""Whatever stands in params.yaml and sources.yaml: a valid result that lost nothing, or one readable error, soon.

Hypothesis makes up inputs for as long as EWS_FUZZ_SECONDS says, each test (CONTRIBUTING.md); each run tries others.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from ews.core.errors import EwsError
from ews.core.levels import from_levels
from ews.core.yaml_files import read_yaml
from ews.data.sources import read_manifest
from ews.pipeline.study.cells import plan
from ews.pipeline.study.params import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
SECONDS = float(os.environ.get("EWS_FUZZ_SECONDS", "10"))
MOST = 10  # seconds of one input
ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "data/sources.yaml"
TEXTS = {"params.yaml": (ROOT / "params.yaml").read_text("utf-8"), "sources.yaml": SOURCES.read_text("utf-8")}
STUDIES = ("quickstart", "table4_digits", "mixacm_ablation", "table1_official")

WORDS = st.sampled_from(
    "~ null true yes 010 0o17 0x1F 1:30 1e-5 1e999 -1 0 .5 .inf .nan 9223372036854775808 8/255 *a &a [ ] { } : - ? "
    "| > << <<: # ' \" --- ... !!python/name:os.system !!int %YAML \t \x00 \x85 \u2028 \u202e ü \U0001f600 "
    "vanilla ews at+ews digits cifar10 data trained.txt __use_yte__: ?1 [[[[[[[[ {a: {a: {a: &a [*a,*a]".split(" ")
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.text(max_size=20), st.integers(0, 20), st.just("")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def edited_text(draw: st.DrawFn, text: str) -> bytes:
    """Lines taken out, doubled, moved, indented otherwise, with other words in them; then bytes likewise."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        place = draw(st.integers(0, len(lines) - 1))
        line, other = lines[place], draw(st.integers(0, len(lines) - 1))
        key, colon, _ = line.partition(":")
        edits: list[list[str]] = [
            [],
            [line, line],
            [line, lines[other]],
            [" " * draw(st.integers(0, 9)) + line.lstrip()],
            [f"{key}{colon} {draw(WORDS)}\n"],
            [f"{key}{colon} {draw(st.text(max_size=12))}\n"],
            [line.replace(" ", draw(WORDS), 1)],
            [line.rstrip("\n") + draw(WORDS) + "\n"],
        ]
        lines[place : place + 1] = draw(st.sampled_from(edits))
        if not lines:
            break
    content = "".join(lines).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(max_size=4)) + content[place + draw(st.integers(0, 4)) :]
    return content


@st.composite
def edited_value(draw: st.DrawFn, value: Any) -> bytes:
    """Keys and values replaced, renamed, added or taken out, in valid YAML."""
    value = yaml.safe_load(yaml.safe_dump(value))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        node = value
        while True:
            places = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(node[place], dict | list) and node[place] and draw(st.integers(0, 5)):
                node = node[place]
                continue
            what = draw(st.sampled_from(["nudge", "nudge", "nudge", "replace", "replace", "remove", "add"]))
            if what == "nudge" and isinstance(node[place], int | float):
                node[place] = node[place] + draw(st.sampled_from([-1, 1, 2, 0.5]))
            elif what in ("nudge", "replace"):
                node[place] = draw(VALUES)
            elif what == "remove":
                del node[place]
            elif isinstance(node, dict):
                node[draw(WORDS | st.text(max_size=8))] = draw(VALUES)
            else:
                node.insert(place, draw(VALUES))
            break
    return yaml.safe_dump(value, allow_unicode=draw(st.booleans()), sort_keys=False).encode("utf-8", "surrogatepass")


def anything(name: str, reduce: Callable[[Any], Any]) -> st.SearchStrategy[bytes]:
    text = TEXTS[name]
    value = reduce(yaml.safe_load(text))
    short = yaml.safe_dump(value, sort_keys=False)
    raw = st.binary(max_size=200) | st.text(max_size=200).map(lambda made: made.encode("utf-8", "surrogatepass"))
    words = st.lists(WORDS | st.sampled_from([" ", "\n", "\n  ", ": "]), max_size=60).map("".join).map(str.encode)
    return st.one_of(
        edited_value(value), edited_value(value), edited_text(short), edited_text(short), edited_text(text), raw, words
    )


def fewer(value: Any) -> Any:
    """The shipped settings with some of their studies, which are read sooner."""
    return {**value, "studies": {name: value["studies"][name] for name in STUDIES}}


def check_kept(given_value: Any, found: Any, at: str = "") -> None:
    """Check that each value of a file is what its reader made of it: nothing is dropped, converted or replaced."""
    if isinstance(given_value, dict):
        keys = dict(found) if isinstance(found, BaseModel | Mapping) else {}
        assert set(given_value) <= set(keys), at
        for key, value in given_value.items():
            check_kept(value, keys[key], f"{at}.{key}")
    elif isinstance(given_value, list):
        assert len(given_value) == len(found), at
        for value, one in zip(given_value, found, strict=True):
            check_kept(value, one, at)
    elif isinstance(found, dict):  # one recipe for all methods
        assert set(found.values()) <= {given_value}, at
    elif isinstance(found, list | tuple):
        check_kept([given_value], found, at)
    elif isinstance(found, float) and isinstance(given_value, str):
        assert from_levels(given_value) == found, at
    else:
        assert given_value == found and isinstance(given_value, bool) == isinstance(found, bool), at


def fuzz(name: str, folder: Path, inputs: st.SearchStrategy[bytes], check: Callable[[Path], None]) -> None:
    """Try inputs for SECONDS."""
    path = folder / name
    tried = refused = 0

    @settings(max_examples=50, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def attempt(content: bytes) -> None:
        nonlocal tried, refused
        path.write_bytes(content)
        tried += 1
        start = time.process_time()
        try:
            check(path)
        except EwsError as error:
            refused += 1
            lines = str(error).split("\n")
            assert str(error).strip() and len(lines) <= 22 and max(map(len, lines)) < 1500
        assert time.process_time() - start < MOST

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        attempt()
    print(f"{name}: {tried} inputs, {refused} refused")
    assert 0 < refused < tried


def test_params_yaml(tmp_path: Path) -> None:
    def check(path: Path) -> None:
        params = load(path, sources=SOURCES)
        check_kept(read_yaml(path, missing="").value, params)
        assert not any(isinstance(seed, float) or math.isinf(seed) for seed in params.seeds)
        if len(params.studies) <= len(STUDIES) + 3:
            for study in params.studies:
                plan(params, study)

    fuzz("params.yaml", tmp_path, anything("params.yaml", fewer), check)


def test_sources_yaml(tmp_path: Path) -> None:
    def check(path: Path) -> None:
        check_kept(read_yaml(path, missing="").value, read_manifest(path))

    fuzz("sources.yaml", tmp_path, anything("sources.yaml", lambda value: value), check)
