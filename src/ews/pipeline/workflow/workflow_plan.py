"""Everything that params.yaml plans, worked out once when the workflow starts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError
from ews.data.sources import Source, read_manifest
from ews.pipeline.study.cell import Cell
from ews.pipeline.study.cells import merged, trainings
from ews.pipeline.study.params import validate
from ews.pipeline.study.planned import Planned
from ews.pipeline.study.plans import RESULTS, Plans, plan_all
from ews.pipeline.study.schema import Dataset, Params
from ews.pipeline.study.sizes import Size, check_sizes
from ews.pipeline.workflow import paths


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        params: the content of params.yaml.
        sources: where datasets come from, by name.
        studies: their cells, by study; of those that have to be tuned first, none.
        evaluations: the cells of all studies by results folder; a folder that two studies share stands once.
        cells: what is trained by run folder: also those that a listed cell learns from, which are measured only if a
            study lists them.
        plans: with the trials of the studies that tune, and what they chose.
    """

    params: Params
    sources: Mapping[str, Source]
    studies: Mapping[str, list[Planned]]
    evaluations: Mapping[str, Planned]
    cells: Mapping[str, Cell]
    plans: Plans = field(default_factory=Plans)

    @classmethod
    def of(
        cls, raw: Mapping[str, Any], *, sources: Path | str = paths.SOURCES, results: Path | str = RESULTS
    ) -> "Plan":
        """Plan what params.yaml asks for.

        Args:
            raw: its content, as YAML gives it.
            sources: the manifest that the datasets refer to.
            results: folder in which `<study>/tuned.yaml` lie.

        Raises:
            EwsError: it is not valid, two different cells would share a folder, or a subset or a padding is larger than
                its data.
        """
        known = read_manifest(sources)
        params = validate(dict(raw), sources=known)
        plans = plan_all(params, results)
        evaluations = merged(plans.everything)
        check_sizes(params, plans.everything, {name: Size.of(source) for name, source in known.items()})
        return cls(params, known, plans.studies, evaluations, trainings(evaluations.values()), plans)

    def of_study(self, study: str) -> list[Planned]:
        """Return the cells of a study.

        Raises:
            EwsError: it has to be tuned first.
        """
        return self.studies[study] if study in self.studies else self.plans.cells(study)

    def cell(self, run: str) -> Cell:
        """Return the cell that is trained in a folder below that of runs.

        Raises:
            EwsError: no study plans it.
        """
        if run not in self.cells:
            raise EwsError(f"{paths.RUNS}/{run}: no study in params.yaml plans this run.")
        return self.cells[run]

    def evaluation(self, results: str) -> Planned:
        """Return the cell that is measured in a folder below that of runs.

        Raises:
            EwsError: no study plans it.
        """
        if results not in self.evaluations:
            raise EwsError(f"{paths.RUNS}/{results}: no study in params.yaml plans this evaluation.")
        return self.evaluations[results]

    def dataset(self, name: str) -> Dataset:
        """Return a dataset's section of params.yaml."""
        return self.params.datasets[name]

    def listed(self, studies: Iterable[str]) -> list[Planned]:
        """Return the cells of some studies, each results folder once."""
        return list({entry.results: entry for study in studies for entry in self.of_study(study)}.values())

    def corrupted(self, studies: Iterable[str]) -> list[Planned]:
        """Return the cells that some studies measure on corrupted images."""
        return [
            entry
            for study in studies
            if "corruption" in self.params.studies[study].evaluations
            for entry in self.of_study(study)
        ]
