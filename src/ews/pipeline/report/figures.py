"""Every figure of a study."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from ews.pipeline.report import plotting, reported, table_data
from ews.pipeline.report.inputs import Inputs
from ews.pipeline.report.measurements import Measurement
from ews.pipeline.report.plot_controller import controller, kept
from ews.pipeline.report.plot_corruption import corruption, severity
from ews.pipeline.report.plot_cost import trade
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


def save(manifest: Manifest, measured: list[Measurement], *, inputs: Inputs, folder: Path, suffix: str = "svg") -> None:
    """Draw every figure and write it to ``folder``, atomically.

    Raises:
        EwsError: a run's file is missing or damaged.
    """
    nothing = reported.Reported(numbers={}, settings={})
    study = Study(manifest, table_data.build(manifest, measured, nothing), inputs)
    with plotting.settings():
        for name, draw in FIGURES.items():
            title = f"{manifest.title or manifest.study}: {name}"
            plotting.save(draw(study), folder / f"{name}.{suffix}", title=title)
