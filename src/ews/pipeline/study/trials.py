"""The trials of a study that tunes: cells on seeds of their own, each measured on validation images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from ews.core.errors import EwsError
from ews.pipeline.evaluate.corruption.corruption_spec import CorruptionSection
from ews.pipeline.evaluate.evaluation_specs import Settings, section_of
from ews.pipeline.evaluate.validation.validation_spec import ValidationSection
from ews.pipeline.study.naming import digest
from ews.pipeline.study.overrides import CELLS, Combination, is_sweep
from ews.pipeline.study.planned import Planned, Planner
from ews.pipeline.study.resolve import Names, touches
from ews.pipeline.study.schema import Params, Tuning

VALIDATION = "validation"
"""The evaluation that judges trials."""


@dataclass(frozen=True)
class Trial:
    """One training run that helps to choose values.

    Attributes:
        arm: the entry of the grid: a method, or a variant of one.
        names: dataset, architecture, augmentation and method.
        values: that are tried, by key path.
        seed: of its training.
        planned: what is trained, where, and how it is measured.
    """

    arm: str
    names: Names
    values: dict[str, Any]
    seed: int
    planned: Planned


def trials(params: Params, study: str) -> list[Trial]:
    """Return the trials of a study, in the order of its axes and of its grid; none of a study that tunes nothing.

    Raises:
        EwsError: a value is not valid, or changes no cell of its method; two trials are the same training run; the
            study is measured on corruptions that would choose its values.
    """
    spec = params.studies[study]
    if spec.tune is None:
        return []
    planner = Planner(params, study)
    where = f"params.yaml: studies.{study}.tune"
    found = list(_trials(planner, spec.tune, where))
    runs: dict[str, Trial] = {}
    for trial in found:
        other = runs.setdefault(trial.planned.run, trial)
        if other.arm == trial.arm and other is not trial:
            raise EwsError(f"{where}.grid.{trial.arm}: {other.values} and {trial.values} are the same training run.")
    if spec.tune.by == "corruption" and "corruption" in spec.evaluations:
        for trial in found:
            _check_held_out(trial.planned.settings, where)
    return found


def _check_held_out(settings: Settings, where: str) -> None:
    """Refuse to choose by corruptions that the study is then tested on."""
    tested = section_of(settings, "corruption", CorruptionSection).names
    chosen = section_of(settings, "validation", ValidationSection).names
    if both := [name for name in chosen if name in tested]:
        raise EwsError(
            f"{where}.by = 'corruption': {', '.join(both)} would choose the values and test them. Take them out of "
            "evaluation.validation.names or of evaluation.corruption.names, or choose `by: clean`."
        )


def asked(study: str, found: list[Trial], tuning: Tuning) -> str:
    """Return a digest of all that decides what tuning chooses, code and data apart."""
    cells = [
        {"run": trial.planned.run, "arm": trial.arm, "values": trial.values}
        | {"cell": trial.planned.cell.model_dump(mode="json")}
        | {"asked": [one.model_dump(mode="json") for one in trial.planned.asked]}
        for trial in found
    ]
    return digest({"study": study, "by": tuning.by, "trials": cells})


def _trials(planner: Planner, tuning: Tuning, where: str) -> Iterator[Trial]:
    spec = planner.spec
    base = _base(planner, where)
    for names, _ in planner.axes([0]):
        for arm, grid in tuning.grid.items():
            variant = spec.variants.get(arm)
            method = arm if variant is None else (variant.method or [""])[0]
            if method != names[-1]:
                continue
            own = {} if variant is None else variant.values
            usual = Combination("" if variant is None else arm, frozenset(own), base | own)
            if math.prod(map(len, grid.values())) * len(tuning.seeds) > CELLS:
                raise EwsError(f"{where}.grid.{arm}: more than {CELLS:,} trials. Try fewer values.")
            for values in product(*grid.values()):
                tried = dict(zip(grid, values, strict=True))
                combination = usual.with_tuned(arm, tried)
                for seed in tuning.seeds:
                    planned, training = planner.entry(names, seed, combination, [VALIDATION])
                    for path in tried:
                        if not touches(path, training):
                            raise EwsError(f"{where}.grid.{arm}: {path!r} changes no cell of {method}.")
                    yield Trial(arm, names, tried, seed, planned)


def _base(planner: Planner, where: str) -> dict[str, Any]:
    """Return the values of the study's overrides, of which none is swept."""
    found = {}
    for path, value in planner.spec.overrides.items():
        swept = is_sweep(value, path, planner.params)
        if swept and len(value) != 1:
            raise EwsError(
                f"{where}: a study that tunes has no sweeps, and {path!r} under overrides is one. Give it one value, "
                "or name its values as variants."
            )
        found[path] = value[0] if swept else value
    return found
