"""A study with attacks: its columns, the paper's numbers beside them, both weights, and warnings in the caption."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from helpers.runs import adversarial_result, attacked_weights, reseal

from ews.core.errors import EwsError
from ews.core.levels import as_levels
from ews.pipeline.report import attack_captions, measure, reported, study_rows, table
from ews.pipeline.report.inputs import Inputs

SETTINGS = {
    "epsilon": 8 / 255,
    "step_size": 2 / 255,
    "steps": 20,
    "restarts": 5,
    **{"n_examples": 500, "batch_size": 250, "version": "standard"},
}
METHODS = ("at", "at+ews")
# What Table 4's numbers of EWS were made with.
GREY = {"crop.fill": 128}
RELEASED = GREY | {"ews.entropy_bonus": 0.01, "ews.weight": 0.1, "ews.width": 0.9}


def part(offset: float, warnings: list[str]) -> dict[str, Any]:
    """Of the 500 images of AutoAttack 16 % are wrong as they are, 36 % more are fooled by the first attack."""
    errors = {"clean": 20.0 + offset, "pgd": 50.0 + offset, "autoattack": 54.0 + offset}
    return attacked_weights(**errors, first=52.0, fooled=180, n=1000, chosen=500) | {"warnings": warnings}


@pytest.fixture
def attacked(grow: Callable[..., Any]) -> Any:
    tree = grow(
        datasets=("cifar10",),
        architectures=("preact_resnet18",),
        augmentations=("standard",),
        methods=METHODS,
        differs={"at": GREY, "at+ews": RELEASED},
        seeds=(0, 1),
    )
    tree.evaluations("clean")
    tree.ask("adversarial", SETTINGS)
    for place, entry in enumerate(tree.entries):
        rank = METHODS.index(entry["label"]["method"])
        warnings = ["Square is ahead."] if rank else []
        tree.write(place, "adversarial", adversarial_result(part(0.0, warnings), part(-2.5 - rank, [])))
    return tree


def measured(tree: Any) -> tuple[Any, Any, Any, Any]:
    study, published = study_rows.load(tree.study), reported.load(reported.DEFAULT)
    found, records = measure.measure(study, inputs=Inputs(tree.runs), reported=published)
    return study, found, records, table.tables(study, found, records=records, reported=published)


def test_the_columns_are_those_of_table_4_with_the_paper_s_numbers_beside(attacked):
    _, _, _, texts = measured(attacked)
    head = next(line for line in texts["table.md"].splitlines() if "pgd-20" in line)
    columns = [column.strip() for column in head.strip("|").split("|")]
    errors = [f"{name} error (best) (%)" for name in ("clean", "pgd-20", "autoattack")]
    assert columns[-7:] == [*(column for error in errors for column in (error, "paper")), "cost (× without ews)"]
    row = next(line for line in texts["table.md"].splitlines() if "at+ews" in line and line.startswith("|"))
    for number in ("16.85", "47.99", "51.84"):
        assert number in row
    # Of the last epoch, without the paper's numbers: the paper stops early.
    last = grid(texts, "pgd-20 error (%)")
    assert last[0][-3:] == ["clean error (%)", "pgd-20 error (%)", "autoattack error (%)"]
    assert [row[-2:] for row in last[1:]] == [
        ["50.00 ± 0.00", "54.00 ± 0.00"],
        ["50.00 ± 0.00 (0.00)", "54.00 ± 0.00 (0.00)"],
    ]


def test_without_selected_weights_the_last_epoch_s_stand_in_the_main_table_with_the_paper_s(attacked):
    for place in range(4):
        attacked.change(place, "adversarial.json", lambda content: content["result"].update(best=None))
    _, found, _, texts = measured(attacked)
    head = next(line for line in texts["table.md"].splitlines() if "pgd-20" in line)
    assert "(best)" not in head and head.count("paper") == 3
    assert "Weights of the last epoch; the test images selected nothing." in texts["caption.txt"]
    assert {one.reported for one in found if one.metric == "autoattack error"} == {52.96, 51.84}


def grid(texts: dict[str, str], column: str) -> list[list[str]]:
    """The cells of the Markdown table with this column, heads first."""
    lines = texts["table.md"].splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("|") and column in line)
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [row for row in rows if not row[0].startswith(":")]


def test_weighted_robust_accuracies_are_of_the_images_that_each_attack_saw(attacked):
    _, found, _, texts = measured(attacked)
    by = {(one.label.method, one.seed, one.metric): one for one in found}
    name = "weighted robust accuracy: "
    # (80 + 50) / 2 on 1,000 images, (84 + 46) / 2 on 500.
    assert (by["at", 0, f"{name}pgd-20"].value, by["at", 0, f"{name}pgd-20"].n) == (65.0, 1000)
    assert (by["at", 0, f"{name}autoattack"].value, by["at", 0, f"{name}autoattack"].n) == (65.0, 500)
    assert by["at", 0, f"{name}pgd-20 (best)"].value == (82.5 + 52.5) / 2
    rows = grid(texts, "weighted robust accuracy: pgd")
    assert rows[0] == ["augmentation", "method", f"{name}pgd-20 (best) (%)", f"{name}autoattack (best) (%)"]
    assert rows[1] == ["standard", "at", "67.50 ± 0.00", "66.25 ± 0.00"]
    row = next(csv.DictReader(io.StringIO(texts["table.csv"])))
    assert row[f"{name}pgd-20"] == "65.00"
    assert "higher is better: (accuracy without an attack + accuracy under it) / 2" in texts["table.md"]
    assert "(pgd-20 (best): 1,000, autoattack (best): 500)" in texts["table.md"]


def test_of_accuracies_the_highest_is_bold_and_of_errors_the_lowest(attacked):
    for place, (clean, robust) in enumerate([(20.0, 50.0)] * 2 + [(10.0, 45.0)] * 2):

        def change(content: dict[str, Any], clean: float = clean, robust: float = robust) -> None:
            content["result"]["best"]["clean"]["error"] = clean
            content["result"]["best"]["pgd"]["error"] = robust

        attacked.change(place, "adversarial.json", change)
    texts = measured(attacked)[3]
    cells = {row[1]: row[2] for row in grid(texts, "weighted robust accuracy: pgd")[1:]}
    assert cells == {"at": "65.00 ± 0.00", "at+ews": "**72.50** ± 0.00"}
    main = {row[1]: row for row in grid(texts, "pgd-20 error (best) (%)")[1:]}
    assert any(cell.startswith("**45.00**") for cell in main["at+ews"]) and "**50.00**" not in str(main["at"])


ADAPTIVE = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 20, "restarts": 1, "weights": [0.1, 10.0]}
ROUTER = {"suspected": {"percent": 7.0, "n": 900}, "trusted": {"percent": 11.0, "n": 450}}


def deceived(error: float) -> dict[str, Any]:
    again = {"error": 0.0, "changed": 0, "distance": 0.0, "lowest": 0.0, "highest": 1.0}
    other = {"error": 10.0, "n": 900}
    return {
        "clean": other,
        "pgd": other,
        "adaptive": {"error": error, "n": 900, "weights": [], "again": again},
        "router": ROUTER,
    }


@pytest.fixture
def routed(attacked: Any) -> Any:
    """The same study, whose second method has a router that adaptive attacks deceive."""
    attacked.ask("adaptive", ADAPTIVE | {"batch_size": 250}, of=lambda entry: entry["label"]["method"] == "at+ews")
    hardware = {"device": "cpu", "cpu": "Made-up CPU", "gpu": None, "threads": 2}
    for place, entry in enumerate(attacked.entries):
        if entry["label"]["method"] == "at+ews":
            seed = entry["cell"]["seed"]
            entry["cell"]["architecture"]["dynamic"] = {"name": "awnet", "parameters": {"extractor": [4]}}
            parts = {"last": deceived(60.0 + seed), "best": deceived(58.0)}
            attacked.write(place, "adaptive", {**parts, "seed": seed, "hardware": hardware, "versions": {}})
    attacked.rewrite()
    return attacked


def test_the_adaptive_error_stands_where_there_is_a_router(routed):
    study, found, _, texts = measured(routed)
    assert {(one.label.method, one.value) for one in found if one.metric == "adaptive error"} == {
        ("at+ews", 60.0),
        ("at+ews", 61.0),
    }
    rows = grid(texts, "adaptive error")
    assert [row[-3:] for row in rows] == [
        ["adaptive error (best) (%)", "clean images suspected (best) (%)", "adversarial images trusted (best) (%)"],
        ["–", "–", "–"],
        ["58.00 ± 0.00", "7.00 ± 0.00", "11.00 ± 0.00"],
    ]
    caption = attack_captions.further_caption(table.build(study, found, reported.load(reported.DEFAULT)))
    for words in ("PGD-20, then as many steps", "weights 0.1, 10 and one uniform start each", "on 900 test images"):
        assert words in caption
    for name in ("table.html", "table.tex"):
        assert "adaptive error" in texts[name]
    # The main table keeps its columns.
    assert not any("adaptive" in cell for cell in grid(texts, "clean error (best) (%)")[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["options"].update(weights=[1.0]), r"other settings than .*: weights \(1\.0,\), not"),
        (lambda content: content.update(run="0" * 64), "of an earlier training"),
        (lambda content: content["result"]["last"].pop("adaptive"), r"result\.last\.adaptive: Field required"),
        (lambda content: content["result"]["last"]["adaptive"].update(error=-1.0), r"adaptive\.error: .*equal to 0"),
        (lambda content: content["result"]["last"].pop("router"), r"result\.last\.router: Field required"),
        (lambda content: content["result"]["best"]["router"].pop("suspected"), r"router\.suspected: Field required"),
    ],
)
def test_adaptive_results_of_something_else_are_refused(routed, change, message):
    path = routed.folder(3) / "adaptive.json"
    reseal(path, change)
    with pytest.raises(EwsError, match=message):
        measured(routed)
    path.unlink()
    with pytest.raises(EwsError, match=r"adaptive\.json: no such file"):
        measured(routed)


def test_where_a_seed_left_nothing_to_attack_the_router_has_no_number(routed):
    routed.change(3, "adaptive.json", lambda content: content["result"]["last"]["router"].update(trusted=None))
    _, found, _, texts = measured(routed)
    assert [one.seed for one in found if one.metric == "adversarial images trusted"] == [0]
    assert "clean images suspected" in texts["table.csv"]


def test_last_and_selected_weights_stand_in_the_csv(attacked):
    _, found, _, texts = measured(attacked)
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(texts["table.csv"]))}
    assert (rows["at"]["pgd-20 error"], rows["at"]["pgd-20 error (best)"]) == ("50.00", "47.50")
    assert (rows["at+ews"]["autoattack error"], rows["at+ews"]["autoattack error (best)"]) == ("54.00", "50.50")
    assert rows["at"]["pgd-20 error (best) reported"] == "49.18"
    assert rows["at"]["pgd-20 error reported"] == ""
    assert {one.reported for one in found if one.metric == "pgd-20 error (best)"} == {49.18, 47.99}
    assert {one.reported for one in found if one.metric == "pgd-20 error"} == {None}
    assert (rows["at"]["pgd-20 error n"], rows["at"]["autoattack error n"]) == ("1000", "500")
    assert {one.n for one in found if one.metric.startswith("autoattack")} == {500}


def test_the_caption_says_what_the_attacks_were(attacked):
    texts = measured(attacked)[3]
    words = (
        "the worst of 5 uniform starts, steps of 2/255, within 8/255 of the image in the maximum norm, on 1,000 test"
    )
    assert f"PGD-20 error: {words} images." in texts["caption.txt"]
    assert "AutoAttack error: its standard version in batches of 250, within 8/255" in texts["caption.txt"]
    assert "Errors marked (best) are of the weights of the epoch with the lowest error on valid" in texts["caption.txt"]
    assert "AutoAttack tried fewer images than PGD did" in texts["caption.txt"]


def test_signs_of_masked_gradients_stand_in_the_table_and_the_records(attacked):
    study, found, records, texts = measured(attacked)
    ahead = ("Square is ahead.",)
    assert [record.warnings["adversarial"]["last"] for record in records] == [(), (), ahead, ahead]
    warning = "WARNING, signs of masked gradients: at+ews, seed 0: Square is ahead. at+ews, seed 1: Square is ahead."
    assert warning in texts["caption.txt"]
    for name in ("table.md", "table.html", "table.tex"):
        assert "masked gradients: at+ews" in texts[name]
    for place in range(4):
        attacked.change(place, "adversarial.json", lambda content: content["result"]["last"].update(warnings=[]))
    assert "No sign of masked gradients was seen." in measured(attacked)[3]["caption.txt"]

    def warned(record: Any, **warnings: tuple[str, ...]) -> Any:
        return record.model_copy(update={"warnings": {"adversarial": warnings}})

    kept = [record.warnings["adversarial"]["last"] for record in records]
    both = [warned(one, last=last, best=(*last, "Hard to attack.")) for one, last in zip(records, kept, strict=True)]
    of_both = attack_captions.signs(study, both)[0]
    assert of_both.count("Square is ahead.") == 2 and of_both.count("(best) Hard to attack.") == 3
    many = [warned(record, last=("Odd.",) * 3) for record in records]
    assert "And 7 more, in records.json." in attack_captions.signs(study, many)[0]
    assert found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(run="0" * 64), "is of an earlier training"),
        (lambda content: content["options"].update(epsilon=4 / 255), "other settings than the study asks for: epsilon"),
        (lambda content: content["result"]["last"]["pgd"].update(error=101.0), r"pgd\.error: .*equal to 100"),
        (lambda content: content["result"]["last"].pop("autoattack"), r"autoattack: Field required"),
        (lambda content: content["result"]["last"]["autoattack"].update(attacks=[]), r"attacks: .*at least 1 item"),
        (lambda content: content["result"]["last"].pop("clean"), r"result\.last\.clean: Field required"),
        (lambda content: content["result"].update(best={}), r"result\.best\.clean: Field required"),
    ],
)
def test_results_of_something_else_are_refused(attacked, change, message):
    reseal(attacked.folder(0) / "adversarial.json", change)
    with pytest.raises(EwsError, match=message):
        measured(attacked)


def test_a_manifest_without_the_attacks_settings_is_refused(attacked):
    del attacked.entries[0]["asked"][1]["options"]["epsilon"]
    attacked.rewrite()
    with pytest.raises(EwsError, match=r"entries\.0\.asked\.1\.options.*epsilon: Field required"):
        study_rows.load(attacked.study)


@pytest.mark.parametrize(("value", "text"), [(8 / 255, "8/255"), (0.3, "0.3"), (0.0, "0/255"), (1.0, "255/255")])
def test_distances_are_written_in_grey_levels_where_they_are_whole(value, text):
    assert as_levels(value) == text


def test_without_vanilla_the_method_without_ews_is_what_rows_are_compared_with(attacked):
    attacked.errors(**{"at": (20.0, 21.0), "at+ews": (19.0, 18.0)})
    study = study_rows.load(attacked.study)
    plain, with_subnets = study.labels
    assert study.baseline(with_subnets) == study.baseline(plain) == plain
    texts = measured(attacked)[3]
    rows = list(csv.DictReader(io.StringIO(texts["table.csv"])))
    # Both seeds' errors under attack differ by the same: no interval; those without an attack by 1 and 3.
    compared = next(row for row in grid(texts, "clean error (best): difference")[1:])
    assert compared[1] == "at+ews" and "[" not in compared[-2]
    assert [row["clean error difference"] for row in rows] == ["", "-2.00"]
    assert [row["clean error difference pairs"] for row in rows] == ["", "2"]
    assert [row["cost relative"] for row in rows] == ["1.00", "1.00"]
    assert "difference to the method without ews with the same data" in texts["caption.txt"]
    assert "Such an epoch of the method without ews takes 8.00 s" in texts["caption.txt"]
    assert "cost (× without ews)" in texts["table.md"]
    assert "vanilla" not in texts["table.md"]


def test_a_method_that_has_no_like_without_subnets_is_compared_with_nothing(grow):
    study = study_rows.load(grow(methods=("at", "trades", "trades+awp+ews"), logs=False).study)
    assert [study.baseline(label) for label in study.labels] == [None] * len(study.labels)


def test_vanilla_goes_before(grow):
    study = study_rows.load(
        grow(methods=("vanilla", "damp", "damp+ews"), augmentations=("standard",), logs=False).study
    )
    assert [study.baseline(label) for label in study.labels] == [study.labels[0]] * 3


def test_the_caption_names_the_paper_s_adversarial_setting(attacked):
    caption = measured(attacked)[3]["caption.txt"]
    assert "it trains preact_resnet18, wrn28_10, wrn34_10 for 200 epochs on 50,000 images." in caption
    assert "resnet50" not in caption


def test_another_norm_is_named_everywhere_and_no_paper_s_number_stands_beside_it(grow: Callable[..., Any]) -> None:
    tree = grow(
        datasets=("cifar10",),
        architectures=("preact_resnet18",),
        augmentations=("standard",),
        methods=METHODS,
        differs={"at": GREY, "at+ews": RELEASED},
        seeds=(0, 1),
    )
    tree.evaluations("clean")
    tree.ask("adversarial", SETTINGS | {"norm": "L2", "epsilon": 0.5, "step_size": 0.1, "version": "rand", "eot": 7})
    few = part(0.0, []) | {"autoattack": part(0.0, [])["autoattack"] | {"left_out": ["apgd-dlr"]}}
    for place, _ in enumerate(tree.entries):
        tree.write(place, "adversarial", adversarial_result(few, few))
    _, found, records, texts = measured(tree)
    assert {one.metric for one in found if "attack" in one.metric} >= {
        "L2 autoattack error",
        "L2 autoattack error (best)",
    }
    assert not [one for one in found if "L2" in one.metric and one.reported is not None]
    markdown = " ".join(texts["table.md"].split())
    for words in (
        "| L2 pgd-20 error (best) (%) |",
        "| L2 autoattack error (best) (%) |",
        "L2 PGD-20 error: the worst of 5 uniform starts, steps of 0.1, within 0.5 of the image in the Euclidean (L2)",
        "L2 AutoAttack error: its rand version, gradients the mean of 7 passes, in batches of 250, within 0.5 of",
        "weighted robust accuracy: L2 pgd-20",
    ):
        assert words in markdown, words
    # Said once, though it is of four runs.
    assert markdown.count("AutoAttack without apgd-dlr: with so few classes") == 1
    assert all(record.notes.keys() == {"adversarial"} for record in records)
    assert "maximum norm" not in markdown
