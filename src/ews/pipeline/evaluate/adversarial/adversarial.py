"""Robust error: on test images changed within a small distance, by PGD with restarts and by AutoAttack."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from ews.core.device import exact
from ews.core.errors import EwsError
from ews.core.machine_types import Hardware
from ews.models.network import Network
from ews.pipeline.artifacts.run_files import BEST, LAST
from ews.pipeline.evaluate.adversarial import masking
from ews.pipeline.evaluate.adversarial.adversarial_spec import (
    AdversarialFindings,
    AdversarialOptions,
    Again,
    Attack,
    AttackedWeights,
    ByAutoAttack,
    ByPGD,
    ErrorOn,
    Radius,
    Sweep,
)
from ews.pipeline.evaluate.adversarial.masking import error_of
from ews.pipeline.evaluate.adversarial.shards import SHARD, Arrays, AttackPlan, attacked, loaded, read, right
from ews.pipeline.evaluate.evaluation import Evaluation, Making
from ews.pipeline.evaluate.reach import Reach
from ews.pipeline.evaluate.subject import Subject


def evaluate(subject: Subject, options: AdversarialOptions, making: Making) -> Evaluation[AdversarialFindings]:
    """Attack the last epoch's weights and, where validation images selected an epoch, that epoch's.

    Shards of 250 images are attacked by functions of (seed, shard) and kept with their adversarial images and flags as
    soon as they are whole, so that a killed evaluation resumes and ends in the same bytes. When all are, their images
    are read back and classified again by a network that is loaded anew. An image that is wrong without an attack counts
    as wrong under each.

    Args:
        subject: what to measure.
        options: the threat and the attacks' effort. AutoAttack draws by batch, so that its result depends on the
            batches' size, by little.
        making: no images are made.

    Returns:
        the errors by weights and attack, and the signs of masked gradients; per-image flags of the last weights, and
        the adversarial images of their first shards.

    Raises:
        EwsError: a parameter outside its range, an attack that left the ball.
    """
    available = len(subject.indices)
    if options.n_examples is not None and options.n_examples > available:
        raise EwsError(
            f"evaluation.adversarial.autoattack.n_examples: {options.n_examples} of {available} test images; valid: 1 "
            f"to {available}, or null for all."
        )
    plan = AttackPlan(subject, options)
    names = {key: name for key, name in (("last", LAST), ("best", BEST)) if subject.run.has(name)}
    # Where the last epoch was the best one the two files are one network: the most costly step is not done twice.
    alike = "best" in names and subject.run.record.files[BEST] == subject.run.record.files[LAST]
    if alike:
        del names["best"]
    # Some attacks end just beyond the decision boundary. On a GPU the ten bits of TF32, and convolutions that are timed
    # and chosen anew in every process, would put images on its other side when they are computed again.
    with exact():
        for key, name in names.items():
            attacked(plan, key, name)
        results = {key: _summary(plan, name, read(plan, key, name)) for key, name in names.items()}
    if alike:
        results["best"] = results["last"]
    findings = AdversarialFindings(
        last=results["last"],
        best=results.get("best"),
        seed=plan.seed,
        shard=SHARD,
        hardware=Hardware(**plan.identity["hardware"]),
        versions=plan.identity["versions"],
    )
    return Evaluation(findings, arrays=_arrays(plan, read(plan, "last", LAST)))


def _summary(plan: AttackPlan, name: str, shards: dict[str, list[Arrays]]) -> AttackedWeights:
    """Count the flags, and hold the kept images to them in a pass of its own, with the weights loaded anew."""
    network = loaded(plan, name)
    attacks = [str(attack) for attack in shards["autoattack"][0]["attacks"]]
    robust = dict(zip(attacks, _joined(shards["autoattack"], "robust"), strict=True))
    by_pgd, clean = _joined(shards["pgd"], "robust"), _joined(shards["pgd"], "clean")
    place = {int(index): at for at, index in enumerate(plan.order)}
    again = {kind: _again(plan, network, shards[kind]) for kind in ("pgd", "autoattack")}
    (swept,) = shards["sweep"]
    sweep = tuple(
        Radius(epsilon=float(epsilon), error=float(error))
        for epsilon, error in zip(swept["epsilon"], swept["error"], strict=True)
    )
    errors = {attack: error_of(flags) for attack, flags in robust.items()}
    return AttackedWeights(
        clean=ErrorOn(error=error_of(clean), n=len(clean)),
        pgd=ByPGD(error=error_of(by_pgd), n=len(by_pgd), again=again["pgd"]),
        autoattack=ByAutoAttack(
            error=errors[attacks[-1]],
            n=len(plan.chosen),
            attacks=tuple(
                Attack(attack=attack, error=errors[attack], fooled=int(np.sum(robust[before] & ~robust[attack])))
                for before, attack in pairwise(attacks)
            ),
            left_out=tuple(str(attack) for attack in shards["autoattack"][0]["left_out"]),
            again=again["autoattack"],
        ),
        sweep=Sweep(n=len(plan.swept), errors=sweep),
        warnings=tuple(
            masking.signs(
                messages=[str(message) for shard in shards["autoattack"] for message in shard["warnings"]],
                robust=robust,
                pgd=by_pgd[[place[int(index)] for index in plan.chosen]],
                sweep=sweep,
                unstable=again["pgd"].changed + again["autoattack"].changed,
            )
        ),
    )


def _arrays(plan: AttackPlan, shards: dict[str, list[Arrays]]) -> Arrays:
    """Return the flags of every image, and the adversarial images of the first shard of each kind."""
    return {
        "pgd_index": plan.order,
        "pgd_label": plan.labels(plan.order),
        "pgd_robust": _joined(shards["pgd"], "robust"),
        "pgd_images": shards["pgd"][0]["images"],
        "autoattack_index": plan.chosen,
        "autoattack_label": plan.labels(plan.chosen),
        "autoattack_attacks": shards["autoattack"][0]["attacks"],
        "autoattack_robust": _joined(shards["autoattack"], "robust"),
        "autoattack_images": shards["autoattack"][0]["images"],
    }


def _joined(shards: Sequence[Arrays], name: str) -> np.ndarray:
    """Join the flags of shards along their images, the last axis."""
    return np.concatenate([shard[name] for shard in shards], axis=-1)


def _again(plan: AttackPlan, network: Network, shards: Sequence[Arrays]) -> Again:
    """Classify kept adversarial images again, and measure how far they are from the clean ones.

    Returns:
        error in percent, how many images changed sides, the largest distance, the lowest and the highest pixel.

    Raises:
        EwsError: images outside the ball or outside [0, 1].
    """
    found, changed, reach = [], 0, Reach(plan.options.norm)
    for shard in shards:
        images, indices = torch.from_numpy(shard["images"]), shard["index"]
        found.append(right(plan, network, images, indices))
        # Of AutoAttack's flags [attacks, B] those after the last attack count.
        flags = shard["robust"] if shard["robust"].ndim == 1 else shard["robust"][-1]
        changed += int(np.sum(found[-1] != flags))
        reach.see(images, plan.images(indices))
    reach.check_distance(plan.options.epsilon, where=plan.subject.work)
    return Again(
        error=error_of(np.concatenate(found)),
        changed=changed,
        distance=reach.distance,
        lowest=reach.lowest,
        highest=reach.highest,
    )
