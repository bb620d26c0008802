"""The numbers that tables show of the evaluation `adversarial`."""

from collections.abc import Mapping

import numpy as np

from ews.attacks.norms import IN_WORDS, spelled
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialFindings, AdversarialOptions, AttackedWeights
from ews.pipeline.evaluate.scores import SELECTED, Arrays, Score, Scoring, Wrong

AUTOATTACK = "autoattack error"
"""What the error under AutoAttack is called in the maximum norm; in another one that stands before it."""
WEIGHTED = "weighted robust accuracy: "  # An accuracy: higher is better.


def pgd(options: AdversarialOptions) -> str:
    """Return what the error under PGD is called: with its steps, and with its norm where that is not the usual one."""
    return _in_norm(f"pgd-{options.steps} error", options)


def autoattack(options: AdversarialOptions) -> str:
    """Return what the error under AutoAttack is called."""
    return _in_norm(AUTOATTACK, options)


def _in_norm(name: str, options: AdversarialOptions) -> str:
    # Papers' numbers are found by these names, and are in the maximum norm.
    return name if options.norm == "Linf" else f"{options.norm} {name}"


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
        scores[pgd(options) + suffix] = Score(found.pgd.error, found.pgd.n)
        scores[autoattack(options) + suffix] = Score(found.autoattack.error, found.autoattack.n)
        # Both accuracies on the images that the attack was tried on.
        for name, before, after in (
            (pgd(options), found.clean, found.pgd),
            (autoattack(options), found.autoattack.before, found.autoattack),
        ):
            scores[f"{WEIGHTED}{name.removesuffix(' error')}{suffix}"] = Score(
                weighted(before.error, after.error), after.n
            )
    return scores


def _define(metric: str, options: AdversarialOptions, count: str) -> str:
    radius = f"within {spelled(options.epsilon, options.norm)} of the image in {IN_WORDS[options.norm]}, on {count}"
    norm = "" if options.norm == "Linf" else f"{options.norm} "
    if metric == autoattack(options):
        means = f", gradients the mean of {options.eot} passes," if options.version == "rand" else ""
        which = f"its {options.version} version{means} in batches of {options.batch_size}"
        return f"{norm}AutoAttack error: {which}, {radius}."
    starts = "one uniform start" if options.restarts == 1 else f"the worst of {options.restarts} uniform starts"
    return f"{norm}PGD-{options.steps} error: {starts}, steps of {spelled(options.step_size, options.norm)}, {radius}."


def _explain(options: AdversarialOptions, counts: Mapping[str, str]) -> list[str]:
    own = ", ".join(f"{name.removeprefix(WEIGHTED)}: {images}" for name, images in counts.items())
    return [
        "Weighted robust accuracy in percent, higher is better: (accuracy without an attack + accuracy under it) / "
        f"2, both on the test images that the attack was tried on ({own})."
    ]


def _wrong(arrays: Arrays, options: AdversarialOptions) -> Mapping[str, Wrong]:
    # An ensemble's flags are cumulative: what no attack up to this one has fooled.
    robust = {
        pgd(options): ("pgd", arrays["pgd_robust"]),
        autoattack(options): ("autoattack", arrays["autoattack_robust"][-1]),
    }
    return {
        metric: Wrong(100.0 * ~flags.astype(bool), arrays[f"{name}_index"].astype(np.int64), 1)
        for metric, (name, flags) in robust.items()
    }


def _notes(findings: AdversarialFindings) -> list[str]:
    left_out = findings.last.autoattack.left_out
    if not left_out:
        return []
    return [
        f"AutoAttack without {' and '.join(left_out)}: with so few classes the loss of "
        f"{'these is' if len(left_out) > 1 else 'this attack is'} not defined."
    ]


SCORING = Scoring(
    scores=_scores,
    headline=lambda options: (pgd(options), autoattack(options)),
    further=(WEIGHTED,),
    explain=_explain,
    define=_define,
    wrong=_wrong,
    compared=lambda options: (pgd(options), autoattack(options)),
    notes=_notes,
    warnings=lambda findings: {key: list(one.warnings) for key, one in by_weights(findings).items()},
)
