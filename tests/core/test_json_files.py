"""JSON files that are damaged, or made to be, end in a sentence."""

import time
from pathlib import Path

import pytest

from ews.core.errors import EwsError
from ews.core.files import JSON_LEVELS, read_json, read_limited


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        ("[" * 200_000, "not valid JSON"),
        ("[" * (JSON_LEVELS + 1) + "]" * (JSON_LEVELS + 1), f"deeper than {JSON_LEVELS} levels"),
        ('{"a":' * 500 + "1" + "}" * 500, f"deeper than {JSON_LEVELS} levels"),
        ("9" * 10_000_000, "not valid JSON"),
        ("[1." + "9" * 5_000_000 + "e400]", "is too large"),
    ],
)
def test_what_is_no_json_is_refused_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(EwsError, match=message) as caught:
        read_json(path)
    assert time.process_time() - start < 5 and len(str(caught.value)) < 400
    assert str(path) in str(caught.value)


def test_what_is_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("[" * JSON_LEVELS + '{"a": 1.5}'[:0] + "]" * JSON_LEVELS)
    assert read_json(tmp_path / "f.json") is not None
    (tmp_path / "f.json").write_text('{"a": [1, 2.5, null, "ü"]}')
    assert read_json(tmp_path / "f.json") == {"a": [1, 2.5, None, "ü"]}


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 10)
    assert read_limited(tmp_path / "f", 10) == "x" * 10
    with pytest.raises(EwsError, match="larger than 9 bytes"):
        read_limited(tmp_path / "f", 9)
    with pytest.raises(EwsError, match="larger than"):
        read_limited("/dev/zero", 1000)
