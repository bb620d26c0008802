"""The published numbers: transcribed rightly, and refused where malformed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.core.errors import EwsError
from ews.pipeline.report import reported
from ews.pipeline.report.reported import DEFAULT, Trained

# Improvements over the first row of each group as the paper prints them beside its numbers:
# (setting less method, method, baseline, metric, variant) -> printed difference.
EXTRA = "trades+awp+rst"
# As the released adversarial scripts train EWS.
GREY = "crop.fill=128"
RELEASED = (GREY, "ews.entropy_bonus=0.01", "ews.weight=0.1", "ews.width=0.9")
TRADES = ("trades.epsilon=0.031",)
CLEAN, CORRUPTION, AA = "clean error", "corruption error", "autoattack error"
TABLE_1 = {
    "cifar10/resnet50/standard": {"dropout": (-0.16, -0.29), "ews": (-0.88, -1.52)},
    "cifar10/resnet50/autoaugment": {"dropout": (-0.14, -0.15), "ews": (-0.82, -1.88)},
    "cifar10/resnet50/augmix": {"dropout": (-0.16, -0.13), "ews": (-0.59, -2.77)},
    "cifar100/resnet50/standard": {"dropout": (-0.26, -0.33), "ews": (-1.04, -1.68)},
    "cifar100/resnet50/autoaugment": {"dropout": (-0.18, -0.28), "ews": (-0.86, -1.97)},
    "cifar100/resnet50/augmix": {"dropout": (-0.34, -0.31), "ews": (-0.64, -3.04)},
}
TABLE_2 = {"standard": -1.4, "autoaugment": -1.0, "augmix": -0.9, "deepaugment": -1.7}
TABLE_4 = {
    "preact_resnet18": {"at": -1.12, "at+awp": -0.95, "trades": -1.17, "trades+awp": -1.04, EXTRA: -1.14},
    "wrn28_10": {"at": -0.64, "at+awp": -0.83, "trades": -0.68, "trades+awp": -0.64, EXTRA: -0.74},
    "wrn34_10": {"at": -0.89, "at+awp": -0.67, "trades": -0.83, "trades+awp": -0.73, EXTRA: -0.69},
}


def trained(names: str, *differs: str) -> Trained:
    """Return what ``dataset/architecture/augmentation/method`` names."""
    return Trained(*names.split("/"), differs)


@pytest.fixture(scope="module")
def numbers() -> reported.Reported:
    return reported.load()


def test_table_1_agrees_with_its_printed_improvements_but_where_the_footnote_says(numbers: reported.Reported) -> None:
    for group, rows in TABLE_1.items():
        for method, differences in rows.items():
            for metric, printed in zip((CLEAN, CORRUPTION), differences, strict=True):
                ours, vanilla = (numbers.find(trained(f"{group}/{name}"), metric) for name in (method, "vanilla"))
                assert ours and vanilla
                if round(ours.value - vanilla.value, 2) != printed:
                    assert (group, method, metric) == ("cifar100/resnet50/standard", "ews", CORRUPTION)
                    assert "49.08" in ours.footnote


def test_tables_2_and_4_agree_with_their_printed_improvements(numbers: reported.Reported) -> None:
    for augmentation, printed in TABLE_2.items():
        group = f"imagenet/resnet50/{augmentation}"
        ours, vanilla = (numbers.find(trained(f"{group}/{name}"), "mCE") for name in ("ews", "vanilla"))
        assert ours and vanilla and round(ours.value - vanilla.value, 1) == printed
    for architecture, rows in TABLE_4.items():
        for name, printed in rows.items():
            setting = f"cifar10/{architecture}/standard/{name}"
            own = TRADES if "trades" in name else ()
            both = (trained(f"{setting}+ews", *RELEASED, *own), trained(setting, GREY, *own))
            values = [numbers.numbers[key, AA, ""].value for key in both]
            assert round(values[0] - values[1], 2) == printed, (architecture, name)


# Accuracies as MTARD's poster prints them, clean and under PGD-TRADES.
MTARD = {
    ("cifar10", "mtard"): (87.36, 53.60),
    ("cifar10", "rslad"): (83.99, 55.73),
    ("cifar10", "trades"): (83.00, 53.83),
    ("cifar100", "mtard"): (64.3, 26.75),
    ("cifar100", "rslad"): (58.25, 32.05),
}


def test_mtard_s_accuracies_are_there_as_errors_and_beside_no_run(numbers: reported.Reported) -> None:
    found = {key: number for key, number in numbers.numbers.items() if key[2] == "PGD-TRADES"}
    assert len(found) == 2 * len(MTARD)
    for (dataset, method), accuracies in MTARD.items():
        setting = trained(f"{dataset}/resnet18/standard/{method}")
        for metric, accuracy in zip((CLEAN, "robust error"), accuracies, strict=True):
            number = found[setting, metric, "PGD-TRADES"]
            assert number.value == pytest.approx(100 - accuracy)
            assert number.source == "Zhao, Yu, Sun, Zhang, Wei (2022), poster"
            assert numbers.find(setting, metric) is None


def test_every_inconsistency_of_the_paper_has_its_footnote(numbers: reported.Reported) -> None:
    noted = {key for key, number in numbers.numbers.items() if number.footnote}
    assert noted == {
        (trained("cifar10/resnet50/standard/ews"), CLEAN, ""),
        (trained("cifar10/resnet50/standard/ews"), CLEAN, "as printed in Table 5"),
        (trained("cifar100/resnet50/standard/ews"), CORRUPTION, ""),
        (trained("cifar10/preact_resnet18/standard/at+ews", *RELEASED), CLEAN, ""),
        (trained("cifar10/wrn34_10/standard/at+awp+ews", *RELEASED), CLEAN, ""),
        (trained("imagenet/resnet50/deepaugment/ews"), "mCE", ""),
        (trained("imagenet/resnet50/standard/dropout"), "mFR", ""),
        (trained("imagenet/resnet50/standard/ews"), "mFR", ""),
        (trained("imagenet/resnet50/augmix/ews"), "mFR", ""),
    }


def test_only_the_paper_s_own_setting_is_found(numbers: reported.Reported) -> None:
    assert numbers.find(trained("cifar10/resnet50/standard/ews"), CLEAN)
    for other in (
        trained("cifar10_jpeg/resnet50/standard/ews"),
        trained("cifar10/resnet20/standard/ews"),
        trained("cifar10/resnet50/standard/ews", "ews.width=0.5"),
        trained("cifar10/resnet50/standard/ews", "recipe.epochs=30"),
    ):
        assert numbers.find(other, CLEAN) is None
    assert numbers.find(trained("cifar10/resnet50/standard/ews"), "error on 4 corruptions") is None


def test_sources_are_named(numbers: reported.Reported) -> None:
    number = numbers.find(trained("cifar10/resnet50/standard/ews", "ews.search=random"), CORRUPTION)
    assert number and (number.value, number.source) == (25.81, "Guo, Stutz, Schiele (2022), Table 5")


def _remove(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["tables"][0].pop(key)


def _row(values: object) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["tables"][0]["rows"].__setitem__("standard/ews", values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove("dataset"), r"tables\[0\]\.dataset: Field required"),
        (_row([1.0]), "list of 2 numbers"),
        (_row([1.0, "2.0"]), r"rows\.standard/ews\[1\]: .*valid number"),
        (_row([1.0, float("nan")]), r"rows\.standard/ews\[1\]: .*finite number"),
        (_row([1.0, -3.0]), r"rows\.standard/ews\[1\]: .*greater than or equal to 0"),
        (
            lambda raw: raw["tables"][0].update(dataset="cifar10_jpeg"),
            r"tables\[0\]\.dataset: Input should be 'cifar10', 'cifar100' or 'imagenet'",
        ),
        (lambda raw: raw["tables"][0].update(colour="red"), r"tables\[0\]\.colour: Extra inputs"),
        (
            lambda raw: raw["tables"].append(raw["tables"][0]),
            "clean error: stands twice",
        ),
        (lambda raw: raw["tables"][0]["footnotes"][0].update(row="standard/none"), "no number at"),
        (lambda raw: raw["tables"][0]["rows"].__setitem__("ews", [1, 2]), "augmentation/method"),
        (lambda raw: raw["tables"][0].update(overrides={"damp.sigma": 1}), "overrides: 'damp.sigma' is of no row"),
        (lambda raw: raw["tables"][0].update(overrides=["ews"]), r"tables\[0\]\.overrides: .*object"),
        (
            lambda raw: raw["settings"].update(cifar10_jpeg=raw["settings"]["cifar10"]),
            "settings.*Input should be 'cifar10'",
        ),
        (lambda raw: raw.pop("papers"), "papers: Field required"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    raw = copy.deepcopy(yaml.safe_load(DEFAULT.read_text()))
    change(raw)
    path = tmp_path / "reported.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(EwsError, match=message) as caught:
        reported.load(path)
    assert str(path) in str(caught.value)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EwsError, match="no such file"):
        reported.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(EwsError, match=r"bad.yaml, line 1, column 5: not valid YAML"):
        reported.load(tmp_path / "bad.yaml")
