"""Every figure of a study."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from ews.core.errors import EwsError
from ews.core.files import write_all
from ews.pipeline.report import plotting, reported, table_data
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.plot_controller import controller, kept
from ews.pipeline.report.plot_corruption import corruption, severity
from ews.pipeline.report.plot_cost import trade
from ews.pipeline.report.plot_filters import filters
from ews.pipeline.report.plot_mimicry import mimicry
from ews.pipeline.report.plot_subnets import subnets
from ews.pipeline.report.plot_sweep import sweep
from ews.pipeline.report.plot_training import training
from ews.pipeline.report.study_rows import Manifest
from ews.pipeline.report.training_logs import Study

FIGURES: dict[str, Callable[[Study], Figure]] = {
    "training": training,
    "corruption": corruption,
    "severity": severity,
    "sweep": sweep,
    "cost": trade,
    "controller": controller,
    "kept": kept,
}
OF_EVALUATIONS: dict[str, Callable[[Study], Figure]] = {
    "mimicry": mimicry,
    "filters": filters,
    "subnets": subnets,
}
"""By kind of evaluation, what is drawn of it alone, in studies that ask for it."""


def save(
    manifest: Manifest,
    measured: list[Measurement],
    *,
    inputs: Inputs,
    folder: Path,
    suffix: str = "svg",
    only: str | None = None,
) -> None:
    """Draw a study's figures and write them to ``folder``, all or none.

    Args:
        manifest: the study.
        measured: its measurements.
        inputs: its runs.
        folder: where to write.
        suffix: svg or png.
        only: the kind of evaluation whose own figure is drawn; None: all others, as every study has them.

    Raises:
        EwsError: a run's file is missing or damaged, or the study does not ask for this evaluation.
    """
    if only is not None and only not in manifest.evaluations:
        raise EwsError(f"figures: study {manifest.study!r} does not ask for the evaluation {only!r}.")
    nothing = reported.Reported(numbers={}, settings={})
    study = Study(manifest, table_data.build(manifest, measured, nothing), inputs)
    chosen = FIGURES if only is None else {only: OF_EVALUATIONS[only]}
    files: dict[Path, bytes] = {}
    with plotting.settings():
        for name, draw in chosen.items():
            title = f"{manifest.title or manifest.study}: {name}"
            files[folder / f"{name}.{suffix}"] = plotting.drawn(draw(study), suffix, title=title)
    write_all(files)
