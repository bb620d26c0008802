"""Bad input in params.yaml ends in one readable message that names the key path, the value and the valid values."""

import re
from pathlib import Path
from typing import Any

import pytest

from ews.core.errors import EwsError
from ews.methods.dropout.dropout_spec import DropoutParameters
from ews.methods.ews.ews_spec import EwsParameters
from ews.pipeline.study.cells import plan
from ews.pipeline.study.params import load, validate
from ews.pipeline.study.plans import all_cells

DELETE = object()


def change(raw: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    node = raw
    for key in parents:
        node = node[key]
    if value is DELETE:
        del node[last]
    else:
        node[last] = value


MISTAKES = [
    ("methods/ews/width", 0, r"methods\.ews\.width = 0: .*greater than 0"),
    ("methods/ews/width", 1.01, r"methods\.ews\.width = 1\.01: .*less than or equal to 1"),
    ("methods/ews/widht", 0.7, r"methods\.ews\.widht: unknown key\. Valid: width, "),
    ("methods/ews/learning_rate", "1e-3", r"methods\.ews\.learning_rate = '1e-3': .*without quotes\.$"),
    ("methods/ews/interval", 2.5, r"methods\.ews\.interval = 2\.5"),
    ("methods/ews/interval", True, r"methods\.ews\.interval = True"),
    ("methods/ews/search", "greedy", r"methods\.ews\.search = 'greedy': .*'learned'.*'bandit'"),
    ("recipes/digits/standard", DELETE, r"recipes\.digits\.standard: missing"),
    ("methods/at/epsilon", "300/255", r"methods\.at\.epsilon = '300/255': .*less than or equal to 1"),
    ("methods/at/epsilon", 8, r"methods\.at\.epsilon = 8: .*less than or equal to 1"),
    ("methods/at/epsilon", -0.1, r"methods\.at\.epsilon = -0\.1: .*greater than or equal to 0"),
    ("methods/at/epsilon", "8/256", r"methods\.at\.epsilon = '8/256'"),
    ("methods/at/steps", 0, r"methods\.at\.steps = 0: .*greater than or equal to 1"),
    ("methods/trades/step_size", "0/255", r"methods\.trades\.step_size = '0/255': .*greater than 0"),
    ("methods/trades/beta", -1.0, r"methods\.trades\.beta = -1\.0"),
    ("methods/mixacm/stages", [-1, -3], r"methods\.mixacm\.stages = \[-1, -3\]: stages must ascend, each once"),
    ("methods/mixacm/stages", [0], r"methods\.mixacm\.stages\[0\] = 0: .*less than or equal to -1"),
    ("methods/mixacm/soft_weight", 1.5, r"methods\.mixacm\.soft_weight = 1\.5: .*less than or equal to 1"),
    ("methods/mixacm/temperature", 0.0, r"methods\.mixacm\.temperature = 0\.0: .*greater than 0"),
    ("studies/quickstart/method", ["mixacm+awp"], r"awp needs at or trades"),
    ("studies/quickstart/method", ["at+mixacm"], r"at and mixacm are both objectives"),
    ("methods/awp/gamma", 0.01, r"methods\.awp\.gamma: unknown key\. Valid: at, trades"),
    ("methods/rst/share", 1.0, r"methods\.rst\.share = 1\.0: .*less than 1"),
    ("methods/damp/sigma", -0.1, r"methods\.damp\.sigma = -0\.1: .*greater than or equal to 0"),
    ("methods/damp/sub_batches", 0, r"methods\.damp\.sub_batches = 0: .*greater than or equal to 1"),
    ("methods/damp/gradient", "clean", r"methods\.damp\.gradient = 'clean': .*'perturbed' or 'objective'"),
    ("methods/sam/rho", 0, r"methods\.sam\.rho = 0: .*greater than 0"),
    ("methods/asam/eta", 0.01, r"methods\.asam\.eta: unknown key\. Valid: rho, sub_batches, statistics"),
    ("studies/quickstart/method", ["damp+sam"], r"'damp\+sam': damp and sam each take .* at most one of awp, damp"),
    ("studies/quickstart/method", ["at+awp+asam"], r"'at\+awp\+asam': awp and asam each take"),
    ("studies/quickstart/method", ["awp"], r"'awp': awp needs at or trades or awnet beside it, as in at\+awp"),
    ("studies/quickstart/method", ["at+trades"], r"at and trades are both objectives"),
    ("studies/quickstart/method", ["ews+at"], r"write 'ews\+at' as 'at\+ews'"),
    ("datasets/mine-extra", {"source": "digits"}, r"datasets\.mine-extra|data/mine-extra is where extra images lie"),
    ("unheard_of", 1, r"unheard_of: unknown key\. Valid: reproduce, "),
    ("reproduce", ["tabel1"], r"reproduce: unknown study 'tabel1'\. Did you mean 'table1'\?"),
    ("reproduce", [], r"reproduce = \[\]: .*at least 1"),
    ("seeds", [], r"seeds = \[\]: .*at least 1"),
    ("seeds", [-1], r"seeds\[0\] = -1"),
    ("studies/quickstart/method", [], r"studies\.quickstart\.method = \[\]"),
    ("studies/quickstart/method", ["ewz"], r"studies\.quickstart\.method: unknown method 'ewz'\. Did you mean 'ews'\?"),
    ("studies/quickstart/method", ["ews+dropout"], r"write 'ews\+dropout' as 'dropout\+ews'"),
    ("studies/quickstart/method", ["vanilla+ews"], r"'vanilla\+ews': vanilla .* stands alone"),
    ("studies/quickstart/method", ["ews", "ews"], r"studies\.quickstart\.method: a value stands twice"),
    (
        "studies/quickstart/dataset",
        "mnist",
        r"studies\.quickstart\.dataset: unknown dataset 'mnist'\. .*Valid: cifar10, ",
    ),
    ("studies/quickstart/augmentation", "cutout", r"unknown augmentation 'cutout'\. Valid: augmix, "),
    ("studies/quickstart/architecture", "vgg", r"unknown architecture 'vgg'"),
    ("studies/quickstart/evaluations", ["speed"], r"evaluations\[0\] = 'speed': .*'clean'"),
    ("studies/train", {"dataset": "digits", "method": "ews"}, r"cannot be called 'train'"),
    ("datasets/digits/source", DELETE, r"datasets\.digits\.source: missing"),
    ("datasets/digits/source", "nowhere", r"datasets\.digits\.source: unknown source 'nowhere'\. Valid: "),
    ("datasets/digits/validation", 1.0, r"datasets\.digits\.validation = 1\.0: .*less than 1"),
    ("datasets/digits-c", {"source": "digits"}, r"datasets\.digits-c"),
    ("datasets/digits-c-official", {"source": "digits"}, r"datasets\.digits-c"),
    (
        "datasets/cifar10_jpeg/corrupted/source",
        "official",
        r"corrupted\.source = 'official': .*'cifar10_jpeg' are",
    ),
    (
        "datasets/cifar10/corrupted/source",
        "zenodo",
        r"corrupted\.source = 'zenodo': .*'generated'",
    ),
    (
        "datasets/cifar10/source",
        "cifar10_c",
        r"cifar10_c is a corrupted test set\. Write source: cifar10,",
    ),
    ("studies/digits-c", {"dataset": "digits", "method": "ews"}, r"studies\.digits-c: a study cannot be called so"),
    ("methods/ews/weight", float("inf"), r"methods\.ews\.weight = inf: .*finite"),
    ("methods/ews/betas", [0.5, 1.5], r"methods\.ews\.betas\[1\] = 1\.5: .*less than 1"),
    ("augmentations/augmix/severity", 0.05, r"augmentations\.augmix\.severity = 0\.05: .*0\.1"),
    ("studies/table", {"dataset": "digits", "method": "ews"}, r"cannot be called 'table'"),
    ("recipes/digits", DELETE, r"recipes has no entry for dataset 'digits'"),
    (
        "recipes/digits/standard/milestones",
        [0.6, 0.3],
        r"digits\.standard: milestones must ascend, not \[0\.6, 0\.3\]\.$",
    ),
    ("architectures/resnet8/depth", 9, r"architectures\.resnet8\.depth = 9: must be 6n \+ 2"),
    ("architectures/resnet18/depth", 20, r"architectures\.resnet18\.depth = 20: .*18, 34 or 50"),
    (
        "architectures/resnet18/widen",
        2,
        r"architectures\.resnet18\.widen: unknown key\. Valid: network, .*depth, width",
    ),
    ("architectures/resnet8/network", "vgg", r"architectures\.resnet8.*'cifar_resnet'"),
    ("augmentations/augmix/depth_max", 0, r"augmentations\.augmix\.depth_max = 0"),
    ("evaluation/corruption/names", ["rain"], r"evaluation\.corruption\.names\[0\] = 'rain': .*'fog'"),
    (
        "evaluation/corruption/names",
        ["fog", "fog"],
        r"evaluation\.corruption\.names = \['fog', 'fog'\]: fog stands twice",
    ),
    ("evaluation/corruption/stored", "yes", r"evaluation\.corruption\.stored = 'yes': .*boolean"),
]


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_a_mistake_is_named(raw: dict[str, Any], path: str, value: Any, message: str) -> None:
    change(raw, path, value)
    with pytest.raises(EwsError) as caught:
        validate(raw, sources=["digits", "cifar10", "cifar100", "cifar10_jpeg"])
    assert re.search(message, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("params.yaml: ")


def test_every_mistake_is_listed_at_once(raw: dict[str, Any]) -> None:
    raw["methods"]["ews"]["width"] = 2
    raw["methods"]["dropout"]["rate"] = "a third"
    with pytest.raises(EwsError, match=r"(?s)dropout\.rate.*ews\.width|ews\.width.*dropout\.rate"):
        validate(raw)


@pytest.mark.parametrize("text", ["studies: [", "- 1\n- 2\n", "", "just text"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(EwsError, match=re.escape(str(path))):
        load(path)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("studies:\n  mine: {}\n  mine: {}\n")
    with pytest.raises(EwsError, match=r"line 3, column 3: .*'mine' stands twice in this section, first in line 2"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="no such file"):
        load(tmp_path / "params.yaml")


def test_the_shipped_file_is_valid_with_the_papers_defaults(raw: dict[str, Any]) -> None:
    params = validate(raw)
    ews, dropout = params.methods.of("ews"), params.methods.of("dropout")
    assert isinstance(ews, EwsParameters) and isinstance(dropout, DropoutParameters)
    assert (ews.interval, ews.weight, ews.width) == (10, 1.0, 0.7)
    assert dropout.rate == pytest.approx(1 - ews.width)
    assert params.reproduce == ["quickstart"]
    assert all_cells(params)


@pytest.mark.parametrize("section", ["methods", "augmentations", "evaluation"])
def test_a_section_that_is_left_out_has_the_values_of_the_specs(raw: dict[str, Any], section: str) -> None:
    """And those are the values that the shipped file spells out."""
    shipped = getattr(validate(raw), section)
    for name in list(raw[section]):
        del raw[section][name]
        assert getattr(validate(raw), section) == shipped, name
    del raw[section]
    assert getattr(validate(raw), section) == shipped


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("two\nlines", r"title = 'two\\nlines': the character '\\n' at position 4"),
        ("bell\x07", r"the character '\\x07'"),
        ("escape\x1b[31m", r"the character '\\x1b'"),
        ("over\u202eturned", r"the character '\\u202e'"),
        ("line\u2028separator", r"the character '\\u2028'"),
        (" space", "begins or ends with a space"),
        ("x" * 201, "at most 200 characters"),
        (12, "valid string"),
    ],
)
def test_a_title_that_would_leave_its_line_is_refused(raw: dict[str, Any], title: object, message: str) -> None:
    raw["studies"]["quickstart"]["title"] = title
    with pytest.raises(EwsError, match=message) as caught:
        validate(raw)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("title", ["Cost in $, a|b & <c> \\ {d} %", "Größe λ 数 – “x”", "", "x" * 200])
def test_other_titles_are_as_written(raw: dict[str, Any], title: str) -> None:
    raw["studies"]["quickstart"]["title"] = title
    assert validate(raw).studies["quickstart"].title == title


@pytest.mark.parametrize("path", ["mirror", "datasets/digits/extra", "studies/quickstart/method"])
def test_other_texts_are_lines_too(raw: dict[str, Any], path: str) -> None:
    value: Any = "a\nb"
    change(raw, path, {"file": value} if path.endswith("extra") else [value] if path.endswith("method") else value)
    with pytest.raises(EwsError, match=r"the character '\\n' at position 2"):
        validate(raw)


@pytest.mark.parametrize(
    "name", [*"data train figure_mimicry trained.txt readme.md Upper ../up".split(), "x" * 61, "a b"]
)
def test_a_name_that_no_study_can_have_is_refused_in_a_line(raw: dict[str, Any], name: str) -> None:
    raw["studies"][name] = {"dataset": "digits", "method": "ews"}
    with pytest.raises(EwsError) as caught:
        validate(raw)
    assert f"studies.{name} = " in str(caught.value) and len(str(caught.value)) < 300


LONG: list[tuple[str, Any]] = [
    ("seeds", list(range(-1, 5000))),
    ("seeds", "x" * 100_000),
    ("studies", ["x" * 1000] * 1000),
    ("studies/quickstart/overrides", [{"a": "x" * 1000}] * 1000),
    ("studies/quickstart/method", "x" * 10_000),
    ("studies/quickstart/method", ["ews"] * 1000),
    ("studies/quickstart/dataset", ["a" * 50 + str(number) for number in range(1000)]),
    ("studies/quickstart/seed", [1] * 10_000),
    ("methods/mixacm/stages", [0] * 10_000),
    ("methods/ews/width", 10**400),
    ("methods/ews/search", "x" * 10_000),
    ("evaluation/corruption/names", ["rain" * 1000] * 100),
    ("recipes/digits/standard/milestones", [0.9, 0.1] * 5000),
    ("architectures/resnet8/network", "x" * 10_000),
    ("x" * 150, {}),
]


@pytest.mark.parametrize(("path", "value"), LONG)
def test_no_line_of_a_message_prints_all_that_was_given(raw: dict[str, Any], path: str, value: Any) -> None:
    change(raw, path, value)
    with pytest.raises(EwsError) as caught:
        validate(raw)
    lines = str(caught.value).split("\n")
    assert len(lines) <= 21 and max(map(len, lines)) < 700, str(caught.value)[:2000]


@pytest.mark.parametrize(
    ("path", "value", "hint"),
    [
        ("methods/ews/widht", 0.7, "Did you mean 'width'?"),
        ("studys", {}, "Did you mean 'studies'?"),
        ("methods/ews/search", "lerned", "Did you mean 'learned'?"),
        ("evaluation/corruption/stored", "yes", "Write true or false."),
        ("evaluation/corruption/names", ["fogg"], "Did you mean 'fog'?"),
    ],
)
def test_what_was_meant_is_guessed(raw: dict[str, Any], path: str, value: Any, hint: str) -> None:
    change(raw, path, value)
    with pytest.raises(EwsError) as caught:
        validate(raw)
    assert hint in str(caught.value)


def test_a_study_of_more_cells_than_can_be_planned_is_refused_at_once(raw: dict[str, Any]) -> None:
    keys = ("weight", "learning_rate", "entropy_bonus", "gradient_clip")
    sweeps = {f"methods.ews.{key}": [number / 100 for number in range(1, 90)] for key in keys}
    raw["studies"]["mine"] = {"dataset": "digits", "method": "ews", "overrides": sweeps}
    with pytest.raises(EwsError, match=r"studies\.mine: more than 2,000 cells"):
        plan(validate(raw), "mine")
