"""Settings from several files and values: what lies over what, and where messages say that it stands."""

from pathlib import Path

import pytest

from ews.core.command_line import Parser
from ews.core.errors import EwsError
from ews.core.yaml_files import read_yaml
from ews.pipeline.study.params import WHERE, validate
from ews.pipeline.study.settings import Settings, add_options

ROOT = Path(__file__).parents[3]
PARAMS = ROOT / "params.yaml"
SOURCES = ROOT / "data/sources.yaml"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text("a: {x: 1, y: {z: 2}}\nb: [1, 2, 3]\nc: null\n")
    return path


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("a: {x: 5}", {"a": {"x": 5, "y": {"z": 2}}, "b": [1, 2, 3], "c": None}),
        ("a: {y: {w: 0}}", {"a": {"x": 1, "y": {"z": 2, "w": 0}}, "b": [1, 2, 3], "c": None}),
        ("a: 5", {"a": 5, "b": [1, 2, 3], "c": None}),
        ("b: [9]", {"a": {"x": 1, "y": {"z": 2}}, "b": [9], "c": None}),
        ("c: {d: 1}", {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2, 3], "c": {"d": 1}}),
        ("", {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2, 3], "c": None}),
    ],
)
def test_sections_are_joined_and_anything_else_replaced(
    base: Path, tmp_path: Path, over: str, expected: object
) -> None:
    (tmp_path / "mine.yaml").write_text(over)
    assert Settings(base, (tmp_path / "mine.yaml",)).read().value == expected


def test_later_files_lie_over_earlier_ones_and_values_over_all(base: Path, tmp_path: Path) -> None:
    for name, number in (("one.yaml", 1), ("two.yaml", 2)):
        (tmp_path / name).write_text(f"c: {number}\nd: {number}\n")
    settings = Settings(base, (tmp_path / "one.yaml", tmp_path / "two.yaml"), ("d=1e-5", "a={'x': [true]}"))
    content = settings.read()
    assert content.value == {"a": {"x": [True], "y": {"z": 2}}, "b": [1, 2, 3], "c": 2, "d": 1e-5}
    assert str(content.places["c"]) == f"{tmp_path}/two.yaml, line 1, column 1"
    assert content.places["d"].file == "--config d" and content.places["a.x[0]"].file == "--config a"
    assert content.places["a.y.z"].file == str(base)
    assert Settings(base, settings.configfiles, replace=True).read().value == {"c": 2, "d": 2}


@pytest.mark.parametrize("entry", ["no sign", "=1", ""])
def test_a_value_without_a_key_is_refused(base: Path, entry: str) -> None:
    with pytest.raises(EwsError, match="write KEY=VALUE"):
        Settings(base, entries=(entry,)).read()


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a:\n\t- 1", "- 1", "just text"])
def test_a_file_that_is_laid_over_is_read_as_strictly(base: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(EwsError, match=r"mine\.yaml"):
        Settings(base, (tmp_path / "mine.yaml",)).read()


def test_a_mistake_is_located_in_the_file_that_has_it(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "studies:\n  my:\n    dataset: digits\n    method: [vanilla, ewz]\n    overrides:\n      no.such: 1\n"
    )
    with (
        pytest.raises(EwsError, match=r"mine\.yaml, line 4, column 5: studies\.my\.method: unknown method 'ewz'"),
        Settings(PARAMS, (mine,)).planning(sources=SOURCES),
    ):
        pass


def test_a_mistake_that_planning_finds_is_located_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("studies:\n  my: {dataset: digits, method: ews}\n")
    with (
        pytest.raises(EwsError, match=r"mine\.yaml, line 2, column 3: studies\.my: cannot be"),
        Settings(PARAMS, (mine,)).planning(sources=SOURCES) as params,
    ):
        assert "my" in params.studies
        raise EwsError("params.yaml: studies.my: cannot be.")


def test_another_command_gets_the_same_from_a_file_of_the_whole(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(base).file(Settings(base).read()) == base
    settings = Settings(base, entries=("b=[ü, 1.5]",))
    content = settings.read()
    path = settings.file(content)
    assert path == settings.file(content) and path != Settings(base, entries=("b=[1]",)).file(
        content.__class__({"b": [1]}, "", {})
    )
    secret = Settings(base, entries=("mirror=http://user:s3cr3t@host",))
    kept = read_yaml(secret.file(secret.read()), missing="").value
    assert kept["mirror"] is None and kept["a"] == content.value["a"]
    again = read_yaml(path, missing="").value
    assert again == content.value and list(again) == list(content.value)


def test_the_options_of_commands() -> None:
    parser = Parser()
    add_options(parser)
    assert Settings.of(parser.parse_args([])) == Settings()
    given = parser.parse_args(
        ["--configfile", "a.yaml", "--configfile", "b.yaml", "--config", "x=1", "--config", "y=2"]
    )
    settings = Settings.of(given)
    assert settings == Settings(configfiles=(Path("a.yaml"), Path("b.yaml")), entries=("x=1", "y=2"))
    assert settings.snakemake == ["--configfile", "a.yaml", "b.yaml", "--config", "x=1", "y=2"]


def test_the_shipped_file_has_a_place_for_every_mistake() -> None:
    content = read_yaml(PARAMS, missing="")
    content.value["methods"]["ews"]["widht"] = content.value["methods"]["ews"].pop("width")
    content.value["recipes"]["cifar100"]["standard"]["epochs"] = 0
    with pytest.raises(EwsError) as caught, content.located(WHERE):
        validate(content.value)
    lines = str(caught.value).split("\n")
    assert len(lines) >= 2 and all(line.startswith(f"{PARAMS}, line ") for line in lines), lines
