"""YAML is read one way: version 1.2, strictly, nothing evaluated, and any input is answered within bounds."""

import json
import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ews.core.errors import EwsError
from ews.core.places import key_path
from ews.core.yaml_files import BYTES, LEVELS, NODES, parse_yaml, read_yaml, yaml_text

BOMB = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{chr(98 + place)} [{', '.join([f'*{chr(97 + place)}'] * 10)}]\n" for place in range(9)
)
MERGES = "x0: &a0 {k: 1}\n" + "".join(f"x{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(40))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1e-5", 1e-5),
        ("1e-05", 1e-5),
        ("1.0e-3", 1e-3),
        ("3E4", 3e4),
        (".5", 0.5),
        ("0e9", 0.0),
        ("8/255", "8/255"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("2026-01-31", "2026-01-31"),
        ("'010'", "010"),
        ("!!str 010", "010"),
        ("!!int 12", 12),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("9223372036854775807", 2**63 - 1),
        ('"λ \\u03bb"', "λ λ"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}", name="f").value["a"]
    assert found == value and type(found) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(parse_yaml("a: .nan", name="f").value["a"])


def test_merged_keys_stand_below_ones_own_and_first_ones_over_later_ones() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *b}\n"
    content = parse_yaml(text, name="f")
    assert content.value["c"] == {"x": 3, "y": 1, "z": 2} and content.value["d"] == {"y": 2, "z": 2}
    assert (content.places["c.x"].line, content.places["c.y"].line, content.places["c.z"].line) == (3, 1, 2)
    assert parse_yaml("a: '<<'\n'<<': 1", name="f").value == {"a": "<<", "<<": 1}


def test_what_an_alias_repeats_is_not_shared() -> None:
    value = parse_yaml("a: &a {x: []}\nb: *a\n", name="f").value
    value["a"]["x"].append(1)
    assert value["b"] == {"x": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"f, line 3, column 1: .*'a' stands twice in this section, first in line 1"),
        ("x:\n  a: 1\n  'a': 2", r"line 3, column 3: .*'a' stands twice"),
        ("x: {a: 1, a: 2}", r"line 1, column 11: .*'a' stands twice"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", r"line 2, column 13: .*'<<' stands twice"),
        ("a:\n\t- 1", r"line 2, column 1: .*a tab\. Indent with spaces"),
        ("a: 1\n---\nb: 2", r"line 2, column 1: .*a second document begins here"),
        ("a: 1\n b: 2", r"line 2, column 3: .*mapping values are not allowed"),
        ("a: [1, 2\nb: 3", r"line 2, column 2: .*flow sequence.*\(it began in line 1\)"),
        ("1: 2", r"line 1, column 1: .*a key has to be text"),
        ("? [a]\n: 1", r"a key has to be text"),
        ("a: !!python/object/apply:os.system [ls]", r"line 1, column 4: .*the tag .* is not one of"),
        ("a: !mine 1", r"line 1, column 4: .*the tag '!mine'"),
        ("a: !!timestamp 2026-01-01", r"the tag .*timestamp"),
        ("a: !!int x", r"'x' is no int"),
        ("a: *b", r"undefined alias 'b'"),
        ("a: &a [*a]", r"deeper than 32 levels"),
        ("a: &a {<<: *a}", r"deeper than 32 levels"),
        ("a: {<<: 1}", r"<< takes a section"),
        ("a: 1e999", r"line 1, column 4: .*'1e999' is too large"),
        ("a: 1e-999", r"too small"),
        ("a: 9223372036854775808", r"beyond 64 bits"),
        ("a: '\x01'", r"line 1, column 5: .*character '\\x01'"),
        ("b: 1\na: x\x00", r"line 2, column 5: .*character '\\x00'"),
        ('a: "\\ud800"', r"half a character"),
        ('a: "\\UFFFFFFFF"', r"not valid YAML"),
        ("%YAML 1.1\n---\na: 010", r"%YAML"),
        ("a: " + "9" * 401, r"line 1, column 4: .*a number of 401 characters"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(text: str, message: str) -> None:
    with pytest.raises(EwsError, match=message) as caught:
        parse_yaml(text, name="f")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 20_000, f"deeper than {LEVELS} levels"),
        ("- " * 20_000, f"deeper than {LEVELS} levels"),
        ("{a: " * 20_000, f"deeper than {LEVELS} levels"),
        (BOMB, f"more than {NODES} keys and values"),
        (MERGES, f"more than {NODES} keys and values"),
        ("a: [" + "1," * (NODES + 1) + "]", f"more than {NODES} keys and values"),
        ("a: " + "1" * 900_000, "a number of 900000 characters"),
        ("a: *" + "b" * 900_000, "undefined alias"),
    ],
)
def test_what_would_have_no_end_is_answered_at_once(text: str, message: str) -> None:
    start = time.process_time()
    with pytest.raises(EwsError, match=message) as caught:
        parse_yaml(text, name="f")
    assert time.process_time() - start < 10 and len(str(caught.value)) < 300


def test_levels_up_to_the_bound_are_read() -> None:
    value = parse_yaml("[" * LEVELS + "]" * LEVELS, name="f").value
    for _ in range(LEVELS - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: " + b"x" * BYTES, "larger than 1,048,576 bytes"),
        ("a: 1".encode("utf-16"), "line 1: not UTF-8"),
        ("a: 1\nb: ü".encode("latin-1"), "line 2: not UTF-8 \\(byte 0xfc\\)"),
    ],
)
def test_bytes_that_are_no_such_file_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(EwsError, match=message):
        read_yaml(tmp_path / "f.yaml", missing="")


def test_places_that_are_no_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match=r"none\.yaml: no such file\. Make one\."):
        read_yaml(tmp_path / "none.yaml", missing="Make one.")
    with pytest.raises(EwsError, match="cannot be read"):
        read_yaml(tmp_path, missing="")
    with pytest.raises(EwsError, match="cannot be read"):
        read_yaml("a\0b", missing="")


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes("\ufeffa: 1\r\nb: |\r\n  x\r\n".encode())
    assert read_yaml(tmp_path / "f.yaml", missing="").value == {"a": 1, "b": "x\n"}


def test_json_is_yaml() -> None:
    value = {"a": [1, 1.5, 1e-07, None, True, "ü\n\t\"'", "010"], "b": {}, "c": []}
    assert parse_yaml(json.dumps(value, indent=1), name="f").value == value


def test_errors_of_a_block_get_the_place_of_the_longest_key_path_that_they_begin_with() -> None:
    content = parse_yaml("a:\n  b.c:\n    - 1\n    - 2\n", name="f")
    for said, place in (
        ("f: a.b.c[1]: wrong.", "f, line 4, column 7: a.b.c[1]: wrong."),
        ("f: a.b.c.d = 3: wrong.", "f, line 2, column 3: a.b.c.d = 3: wrong."),
        ("f: a: wrong.\nf: other: wrong.", "f, line 1, column 1: a: wrong.\nf: other: wrong."),
        ("g: a: wrong.", "g: a: wrong."),
    ):
        with pytest.raises(EwsError) as caught, content.located():
            raise EwsError(said)
        assert str(caught.value) == place
    with pytest.raises(EwsError, match=r"^f, line 1, column 1: a: wrong$"), content.located("settings"):
        raise EwsError("settings: a: wrong")


def test_key_paths_are_spelled_as_messages_have_them() -> None:
    assert key_path(["a", "b.c", 0, "d", 1]) == "a.b.c[0].d[1]" and key_path([]) == ""


TEXTS = st.text(max_size=90) | st.sampled_from(
    "~ null yes n 1e-5 1E5 .5 5. 0o17 0x1F 010 1:30 1_000 = << - ? : * & ! | > % @ ` '' .inf +1 2026-01-01 [a]".split()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back_with_its_types(content: dict[str, object]) -> None:
    assert repr(parse_yaml(yaml_text(content), name="it").value) == repr(content)


def test_equal_parts_are_written_out() -> None:
    part = ["x"]
    assert yaml_text({"a": part, "b": part}) == "a:\n- x\nb:\n- x\n"
