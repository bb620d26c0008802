"""The values that tuning chose, `results/<study>/tuned.yaml`: `ews study tune` writes them, planning reads them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from ews.core.documents import SEAL, Document, seal_of
from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.core.places import key_path
from ews.core.yaml_files import read_yaml, yaml_text
from ews.pipeline.study.manifest import Choice, TunedSummary
from ews.pipeline.study.resolve import Names
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trials import Trial, asked

FILE = "tuned.yaml"
HEAD = (
    "# Written by `ews study tune`: values that validation images chose, and all trials. Planning reads `chosen`; "
    "errors in percent.\n# Not to be edited: `checksum` is of all the rest. Other values belong into params.yaml.\n"
)
Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(ge=0)]


class TrialResult(Document):
    """What one trial found, in percent of the validation images, and what it cost.

    Attributes:
        run: its folder below results/runs.
        arm: the entry of the grid.
        values: that were tried.
        seed: of its training.
        clean_error: on the validation images.
        corruption_error: mean over the held-out corruptions and their severities.
        seconds: of the training run by the clock.
        processor_seconds: of the process on all its cores, epochs without validation.
    """

    run: str
    arm: str
    values: dict[str, JsonValue]
    seed: int
    clean_error: Percent
    corruption_error: Percent
    seconds: Seconds
    processor_seconds: Seconds


class Tuned(Document):
    """The content of the file.

    Attributes:
        study: its name.
        asked: digest of the trials that were asked for, see :func:`ews.pipeline.study.trials.asked`.
        by: which validation error chose.
        seeds: of the trials.
        corruptions: that the validation images were corrupted by.
        validation_images: how many.
        seconds: of all trials together, by the clock.
        processor_seconds: likewise, of the processes.
        chosen: values for each entry of the grid under each dataset, architecture and augmentation.
        trials: all of them.
    """

    study: str
    asked: str
    by: str
    seeds: tuple[int, ...]
    corruptions: tuple[str, ...]
    validation_images: int
    seconds: Seconds
    processor_seconds: Seconds
    chosen: tuple[Choice, ...]
    trials: tuple[TrialResult, ...]

    def of(self, names: Names, variant: str) -> tuple[str, Mapping[str, Any]]:
        """Return the entry of the grid that a row has its values from, and these: its variant's, else its method's.

        Args:
            names: of the cell.
            variant: that the row is one of; "": none.
        """
        found = {choice.arm: choice.values for choice in self.chosen if choice.group == names[:-1]}
        arm = variant if variant in found else names[-1]
        return arm, found[arm]

    @property
    def summary(self) -> TunedSummary:
        """What tables say of it."""
        return TunedSummary(
            by=self.by,
            seeds=self.seeds,
            corruptions=self.corruptions,
            validation_images=self.validation_images,
            trials=len(self.trials) // max(1, len(self.chosen) * len(self.seeds)),
            chosen=self.chosen,
        )


def path_of(results: Path | str, study: str) -> Path:
    """Return where the file of a study lies below the folder of results."""
    return Path(results) / study / FILE


def write(path: Path, tuned: Tuned) -> None:
    """Write the file, sealed by the checksum of its content, atomically."""
    plain = tuned.model_dump(mode="json")
    write_text(path, HEAD + yaml_text({**plain, SEAL: seal_of(plain)}))


def read(path: Path, params: Params, study: str, found: list[Trial]) -> Tuned:
    """Read a study's file and check that it answers what params.yaml asks now.

    Args:
        path: the file.
        params: of everything.
        study: that tunes.
        found: its trials.

    Raises:
        EwsError: missing, damaged, changed by hand, or of another grid or of other cells.
    """
    make = f"`snakemake tune_{study}`: it trains the trials that are missing and writes the file."
    remedy = f"Delete it and run {make}"
    tuning = params.studies[study].tune
    assert tuning is not None
    if not path.is_file():
        raise EwsError(f"params.yaml: studies.{study}: its values are not tuned yet: {path} is missing. Run {make}")
    try:
        content = read_yaml(path, missing="")
    except EwsError as error:
        raise EwsError(f"{error} {remedy}") from None
    plain = dict(content.value) if isinstance(content.value, dict) else content.value
    seal = plain.pop(SEAL, None) if isinstance(plain, dict) else None
    try:
        tuned = Tuned.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        lines = [
            f"{path}: {key_path(problem['loc']) or '(the whole)'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        with content.located():
            raise EwsError("\n".join([*lines, remedy])) from None
    if seal != seal_of(tuned.model_dump(mode="json")):
        raise EwsError(
            f"{path}: was changed or damaged after `ews study tune` wrote it: its {SEAL} does not match. Values of "
            f"your own belong into the study's overrides or variants in params.yaml. {remedy}"
        )
    if tuned.asked != asked(study, found, tuning):
        raise EwsError(
            f"{path}: is of other trials than studies.{study} in params.yaml asks for now: its grid, its seeds or its "
            f"cells have changed since. {remedy}"
        )
    return tuned
