"""What the files of a run and of its evaluations are called; no other module spells these names."""

RUNS = "results/runs"
"""Folder of all runs, below that of the project."""

RECORD = "record.json"
"""Says what a run was, and vouches for its other files; written last."""
LAST = "model.safetensors"
BEST = "model-best.safetensors"
"""Weights of the epoch with the lowest validation error."""
WEIGHTS = {"last": LAST, "best": BEST}
EPOCHS = "epochs.csv"
TIMING = "timing.csv"
CONTROLLER = "controller.csv"
KEPT = "kept.csv"
STATE = "state.pt"
"""The state of a training run that is not finished."""

TRAINED = (LAST, BEST, EPOCHS, TIMING, CONTROLLER, KEPT, RECORD)
"""Every file that a finished training may have, the record last."""

SUFFIX = ".json"


def result(kind: str) -> str:
    """Return the name of an evaluation's result, which vouches for its arrays."""
    return f"{kind}{SUFFIX}"


def arrays(kind: str) -> str:
    """Return the name of an evaluation's per-image arrays."""
    return f"{kind}.npz"
