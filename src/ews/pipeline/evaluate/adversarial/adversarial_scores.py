"""The numbers that tables show of the evaluation `adversarial`."""

from collections.abc import Mapping

import numpy as np

from ews.core.levels import as_levels
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialFindings, AdversarialOptions, AttackedWeights
from ews.pipeline.evaluate.scores import SELECTED, Arrays, Score, Scoring, Wrong

AUTOATTACK = "autoattack error"
WEIGHTED = "weighted robust accuracy: "  # An accuracy: higher is better.


def pgd(steps: int) -> str:
    """Return what the error under PGD with so many steps is called."""
    return f"pgd-{steps} error"


def weighted(clean: float, robust: float) -> float:
    """Return the weighted robust accuracy, (clean accuracy + robust accuracy) / 2, of two errors in percent."""
    return 100 - (clean + robust) / 2


def by_weights(findings: AdversarialFindings) -> dict[str, AttackedWeights]:
    """Return what attacks found by weights, ``last`` and maybe ``best``."""
    return {"last": findings.last, **({} if findings.best is None else {"best": findings.best})}


def _scores(findings: AdversarialFindings, options: AdversarialOptions) -> Mapping[str, Score]:
    scores: dict[str, Score] = {}
    for weights, found in by_weights(findings).items():
        suffix = "" if weights == "last" else SELECTED
        scores[pgd(options.steps) + suffix] = Score(found.pgd.error, found.pgd.n)
        scores[AUTOATTACK + suffix] = Score(found.autoattack.error, found.autoattack.n)
        # Both accuracies on the images that the attack was tried on.
        for name, before, after in (
            (f"pgd-{options.steps}", found.clean, found.pgd),
            ("autoattack", found.autoattack.before, found.autoattack),
        ):
            scores[f"{WEIGHTED}{name}{suffix}"] = Score(weighted(before.error, after.error), after.n)
    return scores


def _define(metric: str, options: AdversarialOptions, count: str) -> str:
    radius = f"within {as_levels(options.epsilon)} of the image in the maximum norm, on {count}"
    if metric == AUTOATTACK:
        return f"AutoAttack error: its {options.version} version in batches of {options.batch_size}, {radius}."
    starts = "one uniform start" if options.restarts == 1 else f"the worst of {options.restarts} uniform starts"
    return f"PGD-{options.steps} error: {starts}, steps of {as_levels(options.step_size)}, {radius}."


def _explain(options: AdversarialOptions, counts: Mapping[str, str]) -> list[str]:
    own = ", ".join(f"{name.removeprefix(WEIGHTED)}: {images}" for name, images in counts.items())
    return [
        "Weighted robust accuracy in percent, higher is better: (accuracy without an attack + accuracy under it) / "
        f"2, both on the test images that the attack was tried on ({own})."
    ]


def _wrong(arrays: Arrays, options: AdversarialOptions) -> Mapping[str, Wrong]:
    # An ensemble's flags are cumulative: what no attack up to this one has fooled.
    robust = {
        pgd(options.steps): ("pgd", arrays["pgd_robust"]),
        AUTOATTACK: ("autoattack", arrays["autoattack_robust"][-1]),
    }
    return {
        metric: Wrong(100.0 * ~flags.astype(bool), arrays[f"{name}_index"].astype(np.int64), 1)
        for metric, (name, flags) in robust.items()
    }


SCORING = Scoring(
    scores=_scores,
    headline=lambda options: (pgd(options.steps), AUTOATTACK),
    further=(WEIGHTED,),
    explain=_explain,
    define=_define,
    wrong=_wrong,
    compared=lambda options: (pgd(options.steps), AUTOATTACK),
    warnings=lambda findings: {key: list(one.warnings) for key, one in by_weights(findings).items()},
)
