"""A study with attacks: its columns, the paper's numbers beside them, both weights, and warnings in the caption."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from ews.errors import EwsError
from ews.files import sha256
from ews.report import adversarial, manifest, measure, reported, table

SETTINGS = {
    "epsilon": 8 / 255,
    "step_size": 2 / 255,
    "steps": 20,
    "restarts": 5,
    "autoattack": {"n_examples": 500, "batch_size": 250, "version": "standard"},
}
METHODS = ("at", "at+ews")
# What Table 4's numbers of EWS were made with, in the words of a run's folder.
RELEASED = "at+ews,ews.entropy_bonus=0.01,ews.weight=0.1,ews.width=0.9"


def attack(tree: Any, **changes: Any) -> None:
    """Write adversarial.json into every run, and ask for it in the manifest."""
    tree.manifest |= {"evaluations": ["clean", "adversarial"], "adversarial": SETTINGS}
    for place, cell in enumerate(tree.manifest["cells"]):
        rank = METHODS.index(cell["label"]["method"])
        folder = tree.folder(place)

        def part(offset: float, folder: Any = folder) -> dict[str, Any]:
            return {
                "pgd": {"error": 50.0 + offset, "n": 1000},
                "autoattack": {"error": 54.0 + offset, "n": 500},
                "warnings": ["Square is ahead."] if offset == 0 and "at+ews" in str(folder) else [],
            }

        content = {
            **part(-1.0 * rank if rank == 0 else 0.0),
            "best": part(-2.5 - rank),
            "record": sha256(folder / "record.json"),
            "settings": {
                "norm": "Linf",
                "epsilon": 8 / 255,
                "pgd": {"step_size": 2 / 255, "steps": 20, "restarts": 5, "start": "uniform"},
                "autoattack": {"version": "standard", "batch_size": 250, "shard": 250},
            },
        }
        if rank == 0:
            content["warnings"] = []
        (folder / "adversarial.json").write_text(json.dumps(content | changes))
    tree.rewrite()


@pytest.fixture
def attacked(grow: Callable[..., Any]) -> Any:
    tree = grow(
        datasets=("cifar10",),
        architectures=("preact_resnet18",),
        augmentations=("standard",),
        methods=METHODS,
        tags={"at+ews": RELEASED},
        seeds=(0, 1),
    )
    attack(tree)
    return tree


def measured(tree: Any) -> tuple[Any, Any, Any, Any]:
    study, published = manifest.load(tree.study), reported.load(reported.DEFAULT)
    found, records = measure.measure(study, runs=tree.runs, reported=published)
    return study, found, records, table.tables(study, found, records=records, reported=published)


def test_the_columns_are_those_of_table_4_with_the_paper_s_numbers_beside(attacked):
    _, _, _, texts = measured(attacked)
    head = next(line for line in texts["table.md"].splitlines() if "pgd-20" in line)
    columns = [column.strip() for column in head.strip("|").split("|")]
    wanted = ["clean error (%)", "paper", "pgd-20 error (%)", "paper", "autoattack error (%)", "paper"]
    assert columns[-6:] == wanted
    (row,) = (line for line in texts["table.md"].splitlines() if "at+ews" in line and line.startswith("|"))
    for number in ("16.85", "47.99", "51.84"):
        assert number in row


def test_last_and_selected_weights_stand_in_the_csv(attacked):
    _, found, _, texts = measured(attacked)
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(texts["table.csv"]))}
    assert (rows["at"]["pgd-20 error"], rows["at"]["pgd-20 error (best)"]) == ("50.00", "47.50")
    assert (rows["at+ews"]["autoattack error"], rows["at+ews"]["autoattack error (best)"]) == ("54.00", "50.50")
    assert rows["at"]["pgd-20 error reported"] == "49.18"
    assert (rows["at"]["pgd-20 error n"], rows["at"]["autoattack error n"]) == ("1000", "500")
    assert {one.n for one in found if one.metric.startswith("autoattack")} == {500}


def test_the_caption_says_what_the_attacks_were(attacked):
    texts = measured(attacked)[3]
    words = (
        "the worst of 5 uniform starts, steps of 2/255, within 8/255 of the image in the maximum norm, on 1,000 test"
    )
    assert f"PGD-20 error: {words} images." in texts["caption.txt"]
    assert "AutoAttack error: its standard version in batches of 250, within 8/255" in texts["caption.txt"]
    assert "stand in table.csv as (best)" in texts["caption.txt"]


def test_signs_of_masked_gradients_stand_in_the_table_and_the_records(attacked):
    study, found, records, texts = measured(attacked)
    assert [record["warnings"]["last"] for record in records] == [[], [], ["Square is ahead."], ["Square is ahead."]]
    warning = "WARNING, signs of masked gradients: at+ews, seed 0: Square is ahead. at+ews, seed 1: Square is ahead."
    assert warning in texts["caption.txt"]
    for name in ("table.md", "table.html", "table.tex"):
        assert "masked gradients: at+ews" in texts[name]
    attack(attacked, warnings=[])
    assert "No sign of masked gradients was seen." in measured(attacked)[3]["caption.txt"]
    many = [record | {"warnings": {"last": ["Odd."] * 3}} for record in records]
    assert "And 7 more, in records.json." in adversarial.signs(study, many)[0]
    assert found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record": "0" * 64}, "is of an earlier training"),
        ({"settings": {"epsilon": 4 / 255}}, "other settings than the study asks for"),
        ({"pgd": {"error": 101, "n": 10}}, "between 0 and 100"),
        ({"autoattack": None}, "has no 'autoattack'"),
        ({"best": {}}, "has no 'pgd'"),
    ],
)
def test_results_of_something_else_are_refused(attacked, change, message):
    attack(attacked, **change)
    with pytest.raises(EwsError, match=message):
        measured(attacked)


def test_a_manifest_without_the_attacks_settings_is_refused(attacked):
    del attacked.manifest["adversarial"]
    attacked.rewrite()
    with pytest.raises(EwsError, match="not a study's manifest"):
        manifest.load(attacked.study)


@pytest.mark.parametrize(("value", "text"), [(8 / 255, "8/255"), (0.3, "0.3"), (0.0, "0/255"), (1.0, "255/255")])
def test_distances_are_written_in_grey_levels_where_they_are_whole(value, text):
    assert adversarial.levels(value) == text
