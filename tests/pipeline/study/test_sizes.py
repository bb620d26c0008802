"""What studies ask for fits the images that there are: that is known before anything is downloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ews.core.errors import EwsError
from ews.data import cifar_binary, digits
from ews.data.reader_registry import READERS
from ews.data.sources import read_manifest
from ews.pipeline.study.cells import plan
from ews.pipeline.study.params import SOURCES, load
from ews.pipeline.study.schema import Params
from ews.pipeline.study.sizes import SIDES, Size, check_sizes, check_validation
from ews.pipeline.study.study_command import main

AddStudy = Callable[..., Params]
PADDING = "datasets.digits.standard.padding"


def test_the_sides_of_images_are_those_of_their_readers() -> None:
    assert SIDES == {"digits": digits.SIDE, "cifar_binary": cifar_binary.SIDE}
    assert SIDES.keys() <= READERS.keys()


def test_sizes_are_those_of_the_manifest() -> None:
    sources = read_manifest(SOURCES)
    assert Size.of(sources["digits"]).side == Size.of(sources["cifar100"]).side == 32
    folder = sources["cifar10_jpeg"].model_copy(update={"image_size": 48})
    assert Size.of(folder).side == 48
    assert Size.of(folder.model_copy(update={"image_size": None})).side is None


@pytest.mark.parametrize("method", ["vanilla", "mixacm"])
def test_a_padding_larger_than_the_images_is_refused(with_study: AddStudy, method: str) -> None:
    def check(padding: int, side: int | None) -> None:
        params = with_study(dataset="digits", seed=0, method=method, overrides={PADDING: padding})
        check_sizes(params, {"mine": plan(params, "mine")}, {"digits": Size(1298, 499, side)})

    check(32, 32)
    check(40, 64)
    check(40, None)
    with pytest.raises(
        EwsError, match=r"datasets\.digits\.standard\.padding = 33: its images have 32 .* valid: 0 to 32"
    ):
        check(33, 32)


def test_the_command_checks_sizes(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["studies"] = {"mine": {"dataset": "digits", "method": "vanilla", "overrides": {PADDING: 40}}}
    raw["reproduce"] = ["mine"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert load(path)
    with pytest.raises(EwsError, match=r"padding = 40"):
        main(["--params", str(path), "check"])


def test_images_that_are_too_small_to_be_corrupted_are_refused(with_study: AddStudy) -> None:
    def check(side: int | None, *kinds: str) -> None:
        params = with_study(dataset="digits", seed=0, method="vanilla", evaluations=list(kinds))
        check_sizes(params, {"mine": plan(params, "mine")}, {"digits": Size(1298, 499, side)})

    check(8, "clean", "adversarial")
    for kind in ("corruption", "perturbation"):
        check(16, "clean", kind)
        check(None, "clean", kind)
        with pytest.raises(
            EwsError, match=rf"the evaluation `{kind}` changes images of 16 pixels .* have 8\. Leave it"
        ):
            check(8, "clean", kind)


@pytest.mark.parametrize(
    ("share", "size", "refused"),
    [
        (0.1, Size(100, 10), False),
        (0.0, Size(100, 10, None, 10), False),
        (0.9, Size(100, 10, None, 10), False),
        (0.95, Size(100, 10, None, 10), True),
        (0.95, Size(100, 10), False),
        (0.996, Size(100, 10), True),
        (0.001, Size(100, 10), True),
        (0.95, Size(None, None), False),
    ],
)
def test_a_validation_share_leaves_images_to_train_on(share: float, size: Size, refused: bool) -> None:
    if not refused:
        check_validation("mine", share, size)
        return
    with pytest.raises(EwsError, match=rf"datasets\.mine\.validation = {share}: .* of 100 training images would be"):
        check_validation("mine", share, size)
