"""Typed JSON files: what is written is read back, and nothing else is."""

import json
from pathlib import Path

import pytest

from ews.core.documents import Document, read_document, read_sealed, seal_of, write_sealed
from ews.core.errors import EwsError


class Result(Document):
    """A small result."""

    error: float
    counts: tuple[int, ...]
    note: str | None = None


RESULT = Result(error=12.5, counts=(3, 4))
AGAIN = "Measure again."


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(RESULT.model_dump_json())
    assert read_document(path, Result, remedy=AGAIN) == RESULT
    for content in (RESULT, RESULT.model_dump(mode="json")):
        write_sealed(path, content)
        assert read_sealed(path, Result, remedy=AGAIN) == RESULT


@pytest.mark.parametrize("place", range(3))
def test_a_changed_digit_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "result.json"
    write_sealed(path, RESULT)
    text = path.read_text(encoding="utf-8")
    digit = ("12.5", "3,", "4\n")[place]
    assert text.count(digit) == 1
    path.write_text(text.replace(digit, digit.replace(digit[0], "9", 1)), encoding="utf-8")
    with pytest.raises(EwsError, match=r"result\.json: was changed or damaged .* Measure again\."):
        read_sealed(path, Result, remedy=AGAIN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"error": 1.0}, r"counts: Field required"),
        ({"error": "1", "counts": []}, r"error: Input should be a valid number"),
        ({"error": 1.0, "counts": [], "more": 1}, r"more: Extra inputs are not permitted"),
        ({"error": 1.0, "counts": [1.5]}, r"counts\.0: Input should be a valid integer"),
        ([1], r"\(the whole\): Input should be an object"),
    ],
)
def test_another_content_names_the_key(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(EwsError, match=message):
        read_document(path, Result, remedy=AGAIN)


def test_without_a_seal_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with pytest.raises(EwsError, match=r"no such file\. Measure again\."):
        read_sealed(path, Result, remedy=AGAIN)
    path.write_text(RESULT.model_dump_json())
    with pytest.raises(EwsError, match="has no 'checksum' of its content"):
        read_sealed(path, Result, remedy=AGAIN)


def test_the_seal_is_that_of_the_content_alone() -> None:
    assert seal_of({"a": 1, "b": [2]}) == seal_of({"b": [2], "a": 1}) != seal_of({"a": 1, "b": [3]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": 1e999, "counts": []}', "the number 1e999 is too large"),
        ('{"error": NaN, "counts": []}', "NaN is no number of JSON"),
        ('{"error": 1.0, "counts": [], "error": 2.0}', "the key 'error' stands twice"),
        ('{"error": 1.0, "counts"', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    for read in (read_document, read_sealed):
        with pytest.raises(EwsError, match=rf"result\.json: .*{message}.* Measure again\."):
            read(path, Result, remedy=AGAIN)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match=r"cannot be read \(.*\)\. Measure again\."):
        read_sealed(tmp_path, Result, remedy=AGAIN)
