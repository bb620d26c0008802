"""The manifest: the shipped one is complete, and mistakes end in messages that name the key."""

from pathlib import Path

import pytest
import yaml

from ews.core.errors import EwsError
from ews.data.sources import find, read_manifest

SHIPPED = Path(__file__).parents[2] / "data" / "sources.yaml"
GOOD = {
    "title": "T",
    "kind": "image_folder",
    "url": ["https://example.org/set.zip"],
    "file": "set.zip",
    "size": 10,
    "checksum": "md5:" + "0" * 32,
    "licence": "L",
    "citation": "C",
}


def write(tmp_path: Path, entry: object, name: object = "mine") -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({name: entry}))
    return path


def test_the_shipped_manifest() -> None:
    sources = read_manifest(SHIPPED)
    assert {"digits", "cifar10", "cifar100", "cifar10_jpeg"} <= set(sources)
    for name in ("cifar10", "cifar100"):
        assert sources[name].url[0].startswith("https://www.cs.toronto.edu/~kriz/")
        assert "binary" in str(sources[name].file)  # the other archives are pickles
    assert sources["cifar10_jpeg"].url == []


def test_a_good_entry_passes(tmp_path: Path) -> None:
    assert find(write(tmp_path, GOOD), "mine").checksum == ["md5:" + "0" * 32]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha": "1"}, r"mine\.sha: unknown key; valid: title, "),
        ({"kind": "pickle"}, r"mine\.kind: unknown kind; valid: cifar_binary, cifar_c, digits, .*'pickle'"),
        ({"size": "10"}, r"mine\.size: .*integer.*'10'"),
        ({"size": 0}, r"mine\.size: .*greater"),
        ({"checksum": "sha256:abc"}, r"mine\.checksum: .*64"),
        ({"checksum": "crc32:" + "0" * 8}, r"mine\.checksum: .*sha256"),
        ({"checksum": "crc32:"}, r"mine\.checksum: .*sha256"),
        ({"url": ["ftp://example.org/x"]}, r"mine\.url: .*https://"),
        ({"file": "../set.zip"}, r"mine\.file: .*without folders"),
        ({"checksum": []}, r"mine: checksum missing"),
        ({"folder": "pets"}, r"mine: file, size, checksum, url must not be given"),
        ({"kind": "digits"}, r"mine: .*must not be given: kind digits has no archive"),
        ({"kind": "cifar_binary", "image_size": 32}, r"mine: .*image_folder only"),
        ({"kind": "cifar_binary", "test_split": "val"}, r"mine: .*image_folder only"),
        ({"kind": "cifar_binary", "allow_empty_classes": True}, r"mine: .*image_folder only"),
        ({"test_split": "valid"}, r"mine\.test_split: .*'test' or 'val'"),
        ({"allow_empty_classes": "yes"}, r"mine\.allow_empty_classes: .*boolean"),
    ],
)
def test_a_mistake_names_the_key_and_what_is_valid(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(EwsError, match=message):
        read_manifest(write(tmp_path, GOOD | change))


@pytest.mark.parametrize("key", ["title", "kind", "licence", "citation"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(EwsError, match=rf"mine\.{key}: missing"):
        read_manifest(write(tmp_path, {name: value for name, value in GOOD.items() if name != key}))


def test_other_faults_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="no such file"):
        read_manifest(tmp_path / "none.yaml")
    with pytest.raises(EwsError, match="not a source's name"):
        read_manifest(write(tmp_path, GOOD, "../up"))
    with pytest.raises(EwsError, match=r"mine: "):
        read_manifest(write(tmp_path, "text"))
    (tmp_path / "sources.yaml").write_text("a: [1\n")
    with pytest.raises(EwsError, match="not valid YAML"):
        read_manifest(tmp_path / "sources.yaml")
    (tmp_path / "sources.yaml").write_text("")
    with pytest.raises(EwsError, match="has to map"):
        read_manifest(tmp_path / "sources.yaml")


def test_an_unknown_source_lists_the_known() -> None:
    with pytest.raises(EwsError, match=r"datasets\.x\.source: unknown source 'cifar11'.*cifar10"):
        find(SHIPPED, "cifar11", where="datasets.x.source")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mine:\n  title: T\n  title: U\n", r"sources\.yaml, line 3, column 3: .*'title' stands twice"),
        (
            "mine:\n  kind: digits\n  titl: T\n",
            r"line 3, column 3: mine\.titl: unknown key; .* mean 'title'\?",
        ),
        ("mine:\n  kind: digits\n  title: 3\n", r"line 3, column 3: mine\.title: .*\(got 3\)"),
        ('mine:\n  title: "a\\nb"\n', r"line 2, column 3: mine\.title: the character '\\n' at position 2"),
        ("mine: {}\nmine: {}\n", "stands twice"),
        (f"mine:\n  title: {'x' * 1000}\n", r"mine\.title: .*at most 200 characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sources.yaml").write_text(text)
    with pytest.raises(EwsError, match=message) as caught:
        read_manifest(tmp_path / "sources.yaml")
    assert max(map(len, str(caught.value).split("\n"))) < 400
