"""What an evaluation is asked for: the options of ``ews evaluate KIND`` that decide its result, by name."""

from typing import Any

from ews.pipeline.study.cells import GENERATED, Planned
from ews.pipeline.study.schema import Params

# Kind of evaluation: the files that it writes. The JSON file says what was measured and vouches for the others.
FILES = {
    "clean": ("clean.json", "clean.npz"),
    "corruption": ("corruption.csv", "corruption.json", "corruption.npz"),
    "perturbation": ("perturbation.csv", "perturbation.json", "perturbation.npz"),
    "adversarial": ("adversarial.json", "adversarial.npz"),
    "adaptive": ("adaptive.json", "adaptive.npz"),
}


def options(params: Params, entry: Planned, kind: str) -> dict[str, Any]:
    """Return the options of an evaluation of a cell, ``test_images`` included; None: not given.

    Where images lie and how many processes make them are not among them: no result depends on that.

    Args:
        params: for how the dataset's corrupted images are made.
        entry: the cell and its evaluation settings.
        kind: of evaluation, e.g. ``adversarial``.
    """
    settings = entry.settings
    attack = settings["adversarial"]
    threat = {key: attack[key] for key in ("epsilon", "step_size", "steps")}
    made = params.datasets[entry.cell["dataset"]].corrupted
    making: dict[str, Any] = {"seed": made.seed, "profile": made.profile}
    found: dict[str, Any] = {}
    if kind == "corruption":
        ours = settings["corrupted"]["source"] == GENERATED
        found = {"names": list(settings["corruption"]["names"])} | (making if ours else dict.fromkeys(making))
    elif kind == "perturbation":
        found = {"names": list(settings["perturbation"]["names"])} | making
    elif kind == "adversarial":
        found = threat | {"restarts": attack["restarts"]} | attack["autoattack"]
    elif kind == "adaptive":
        adaptive, batch = settings["adaptive"], attack["autoattack"]["batch_size"]
        found = threat | {"restarts": adaptive["restarts"], "weights": list(adaptive["weights"]), "batch_size": batch}
    return {"test_images": settings["test_images"], **found}
