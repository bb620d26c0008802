"""Whatever stands in a plan for another machine: training runs and evaluations of it, or one readable error.

Hypothesis makes up inputs for as long as EWS_FUZZ_SECONDS says; each run tries others.
"""

import copy
import json
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ews.core.errors import EwsError
from ews.pipeline.remote.remote_tasks import tasks as planned
from ews.pipeline.remote.tasks import check_places, read
from ews.pipeline.study.params import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
ROOT = Path(__file__).parents[3]
SECONDS = float(os.environ.get("EWS_FUZZ_SECONDS", "10"))
MOST = 5  # seconds of one input
FLAGS = {"--cell", "--data", "--out", "--run", "--fingerprint", "--threads", "--workers", "--teacher"}
WORDS = st.sampled_from(
    "../../x|/etc/passwd|--out|@/etc/passwd|;id|$(id)|{data}|{runs}|timeit|train|evaluate|clean|seed0|.|..|~|-c||"
    " |digits/a/b/c/seed0|digits/../b/c/seed0|evaluation--x/../..|a\nb|\0|__class__".split("|")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def plans() -> list[Any]:
    """Real plans, without what is alike in them."""
    params = load(ROOT / "params.yaml", sources=ROOT / "data/sources.yaml")
    found = []
    for study in ("quickstart", "table4_digits", "mimicry_digits"):
        content = json.loads(planned(params, study).model_dump_json())
        content["trainings"] = content["trainings"][:3]
        runs = {training["run"] for training in content["trainings"]}
        content["evaluations"] = [entry for entry in content["evaluations"] if entry["run"] in runs][:4]
        found.append(content)
    return found


@st.composite
def edited(draw: st.DrawFn, plans: list[Any]) -> bytes:
    """A plan with keys and values replaced, renamed, added or taken out; then bytes likewise."""
    plan = copy.deepcopy(draw(st.sampled_from(plans)))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2]))):
        node = plan
        while places := list(node) if isinstance(node, dict) else list(range(len(node))):
            place = draw(st.sampled_from(places))
            if isinstance(node[place], dict | list) and node[place] and draw(st.integers(0, 6)):
                node = node[place]
                continue
            edit = draw(st.sampled_from(["replace", "drop", "add", "double"]))
            if edit == "replace":
                node[place] = draw(VALUES)
            elif edit == "drop":
                del node[place]
            elif isinstance(node, list):
                node.append(copy.deepcopy(node[place]) if edit == "double" else draw(VALUES))
            else:
                node[draw(WORDS | st.text(max_size=6))] = draw(VALUES)
            break
    content = json.dumps(plan).encode()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(max_size=3)) + content[place + draw(st.integers(0, 3)) :]
    return content


def test_plans(plans: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    tried = refused = 0

    @settings(
        max_examples=100, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(edited(plans))
    def attempt(content: bytes) -> None:
        nonlocal tried, refused
        path.write_bytes(content)
        tried += 1
        start = time.process_time()
        try:
            found = read(path).tasks
            check_places(found, tmp_path / "runs")
        except EwsError as error:
            refused += 1
            assert str(error).startswith(str(path)) and len(str(error)) < 20_000
        else:
            for task in found:
                check(task.command)
        assert time.process_time() - start < MOST

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        attempt()
    print(f"plans: {tried} inputs, {refused} refused")
    assert 0 < refused < tried


def check(command: tuple[str, ...]) -> None:
    """Check that a command is one of ours, and that its places are below the folders of data and of runs."""
    assert command[0] in ("train", "evaluate")
    options = {word: value for word, value in pairwise(command) if word in FLAGS}
    assert not [word for word in command if word.startswith(("@", "-")) and not word.startswith("--")]
    for flag in ("--data", "--out", "--run", "--teacher"):
        if flag in options:
            place = options[flag].partition("=")[2] if flag == "--teacher" else options[flag]
            top, *parts = place.split("/")
            assert top == ("{data}" if flag == "--data" else "{runs}") and parts
            assert not any(part in ("", "..", ".") or "\0" in part or "{" in part for part in parts)
    assert command.count("--out") == command.count("--data") == 1
    if command[0] == "train":
        json.loads(options["--cell"])
