"""All studies of params.yaml with the values that tuning chose, read from the folder of results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ews.core.errors import EwsError
from ews.pipeline.study.cells import merged, plan
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.schema import Params
from ews.pipeline.study.trials import Trial, trials
from ews.pipeline.study.tuned import Tuned, path_of, read

RESULTS = Path("results")


@dataclass(frozen=True)
class Plans:
    """What all studies ask for.

    Attributes:
        studies: their cells, of those that can be planned.
        trials: of the studies that tune.
        tuned: the values that tuning chose, by study.
        untuned: why a study that tunes cannot be planned yet, by study.
    """

    studies: dict[str, list[Planned]] = field(default_factory=dict)
    trials: dict[str, list[Trial]] = field(default_factory=dict)
    tuned: dict[str, Tuned] = field(default_factory=dict)
    untuned: dict[str, str] = field(default_factory=dict)

    def cells(self, study: str) -> list[Planned]:
        """Return the cells of a study.

        Raises:
            EwsError: it has to be tuned first.
        """
        if study in self.untuned:
            raise EwsError(self.untuned[study])
        return self.studies[study]

    @property
    def everything(self) -> dict[str, list[Planned]]:
        """All cells by study, and its trials as those of `tune_<study>`."""
        tried = {f"tune of {study}": [trial.planned for trial in found] for study, found in self.trials.items()}
        return self.studies | tried


def plan_all(params: Params, results: Path | str = RESULTS) -> Plans:
    """Plan every study; those that have to be tuned first are named with what is missing.

    Args:
        params: of everything.
        results: folder in which `<study>/tuned.yaml` lie.

    Raises:
        EwsError: as :func:`ews.pipeline.study.cells.plan` and :func:`ews.pipeline.study.trials.trials` say.
    """
    found = Plans()
    for study in params.studies:
        _plan(params, study, results, found)
    return found


def plan_one(params: Params, study: str, results: Path | str = RESULTS) -> Plans:
    """Plan one study likewise.

    Raises:
        EwsError: as :func:`plan_all`, or the study has to be tuned first.
    """
    found = Plans()
    _plan(params, study, results, found)
    found.cells(study)
    return found


def all_cells(params: Params, results: Path | str = RESULTS) -> Mapping[str, Planned]:
    """Return every study's cells by results folder, trials included: :func:`ews.pipeline.study.cells.merged`."""
    return merged(plan_all(params, results).everything)


def _plan(params: Params, study: str, results: Path | str, found: Plans) -> None:
    """Add a study."""
    if params.studies[study].tune is None:
        found.studies[study] = plan(params, study)
        return
    found.trials[study] = tried = trials(params, study)
    try:
        chosen = read(path_of(results, study), params, study, tried)
    except EwsError as error:
        found.untuned[study] = str(error)
        return
    found.tuned[study] = chosen
    found.studies[study] = plan(params, study, chosen)
