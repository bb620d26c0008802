"""What captions say of values that tuning chose."""

import copy
from pathlib import Path
from typing import Any

import yaml

from ews.pipeline.report import training_captions
from ews.pipeline.study.cells import manifest
from ews.pipeline.study.manifest import Choice, Manifest
from ews.pipeline.study.params import validate
from ews.pipeline.study.trials import trials
from ews.pipeline.study.tuned import TrialResult, Tuned

SHIPPED = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))
DECAY = "recipes.digits.standard.weight_decay"


def a_manifest(by: str = "corruption", architecture: Any = "resnet8_thin") -> Manifest:
    """Return the manifest of a study whose last values were chosen."""
    raw = copy.deepcopy(SHIPPED)
    grid = {"vanilla": {DECAY: [1e-4, 1e-3]}, "ews": {"methods.ews.weight": [0.3, 2.0]}}
    tune = {"seeds": [7, 8], "by": by, "grid": grid}
    raw["studies"]["mine"] = {
        **{"dataset": "digits", "architecture": architecture, "method": ["vanilla", "ews"], "seed": 0, "tune": tune},
        "overrides": {"recipes.digits.standard.epochs": 3},
    }
    params = validate(raw)
    found = trials(params, "mine")
    names = ("dataset", "architecture", "augmentation")
    chosen = {
        (one.names, one.arm): Choice(
            **dict(zip(names, one.names, strict=False)), arm=one.arm, values=one.values, error=20.0, at_edge=()
        )
        for one in found
    }
    ews = next(choice for choice in chosen.values() if choice.arm == "ews")
    edged = [
        choice.model_copy(update={"at_edge": ("methods.ews.weight",)}) if choice is ews else choice
        for choice in chosen.values()
    ]
    results = tuple(
        TrialResult(
            **{"run": one.planned.run, "arm": one.arm, "values": one.values, "seed": one.seed},
            **{"clean_error": 1.0, "corruption_error": 20.0, "seconds": 1.0, "processor_seconds": 1.0},
        )
        for one in found
    )
    tuned = Tuned(
        **{"study": "mine", "asked": "", "by": by, "seeds": (7, 8), "corruptions": ("spatter", "saturate")},
        **{"validation_images": 1000, "seconds": 8.0, "processor_seconds": 8.0},
        chosen=tuple(edged),
        trials=results,
    )
    return manifest(params, "mine", tuned=tuned)


def test_the_caption_says_how_values_were_chosen_and_which() -> None:
    assert training_captions.tuned(a_manifest()) == (
        "Values were tuned before: for each of vanilla, ews 2 combinations on seeds of their own (7, 8), chosen by the "
        "mean error under spatter, saturate on 1,000 validation images; no test image took part. Chosen: vanilla "
        "weight_decay=0.001; ews ews.weight=2.0. At an edge of what was tried: ews (ews.weight)."
    )
    assert "chosen by the clean error on 1,000 validation images" in training_captions.tuned(a_manifest("clean"))


def test_values_of_several_groups_are_told_apart() -> None:
    text = training_captions.tuned(a_manifest(architecture=["resnet8_thin", "resnet8"]))
    assert "vanilla (digits/resnet8_thin/standard) weight_decay=0.001" in text
    assert "2 combinations" in text and text.count("ews.weight=2.0") == 2


def test_what_was_tuned_is_no_value_that_all_rows_share() -> None:
    assert training_captions.changed(a_manifest()) == "Values other than the defaults: recipe.epochs=3."


def test_of_a_study_that_tunes_nothing_nothing_is_said() -> None:
    assert training_captions.tuned(manifest(validate(copy.deepcopy(SHIPPED)), "quickstart")) == ""
