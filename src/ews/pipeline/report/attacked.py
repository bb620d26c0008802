"""Reading what attacks found in a run, ``adversarial.json`` and ``adaptive.json``, checked against what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ews.core.errors import EwsError
from ews.core.files import sha256
from ews.pipeline.report import inputs


@dataclass(frozen=True)
class Attacked:
    """One set of weights under attack.

    Attributes:
        pgd, autoattack: errors under attack.
        clean: without one, by attack, ``pgd`` and ``autoattack``, each on the images that this one attacked.
        warnings: signs of masked gradients, in sentences.
    """

    pgd: inputs.Score
    autoattack: inputs.Score
    clean: Mapping[str, inputs.Score]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Deceived:
    """One set of weights with a router under adaptive attacks.

    Attributes:
        error: the worst case over all of them, image by image.
        suspected: clean images that the router takes for adversarial ones.
        trusted: attacked images that it takes for clean ones; None where no image was left to attack.
    """

    error: inputs.Score
    suspected: inputs.Score
    trusted: inputs.Score | None


def read_adversarial(path: Path, settings: Mapping[str, Any], *, record: Path) -> dict[str, Attacked]:
    """Read adversarial.json: the last epoch's weights as ``last``, and the selected ones, if any, as ``best``.

    Args:
        path: the file.
        settings: of the attacks, as the study's manifest has them.
        record: of the training, whose weights they must be.

    Raises:
        EwsError: missing, damaged, of an earlier training, or of other attacks.
    """
    raw = inputs.read_object(path, inputs.REEVALUATE)
    if raw.get("record") != sha256(record):
        raise EwsError(f"{path}: is of an earlier training than {record.name} describes. {inputs.REEVALUATE}")
    done = raw.get("settings") or {}
    pgd, ensemble = done.get("pgd") or {}, done.get("autoattack") or {}
    measured = [done.get("epsilon"), *(pgd.get(key) for key in ("step_size", "steps", "restarts"))]
    wanted = [settings[key] for key in ("epsilon", "step_size", "steps", "restarts")]
    names = ("version", "batch_size")
    if measured != wanted or any(ensemble.get(name) != settings["autoattack"][name] for name in names):
        raise EwsError(f"{path}: was attacked with other settings than the study asks for. {inputs.REEVALUATE}")
    return {
        key: Attacked(
            pgd=inputs.score(_part(part, "pgd", path), f"{path}: {key} pgd"),
            autoattack=inputs.score(_part(part, "autoattack", path), f"{path}: {key} autoattack"),
            clean={
                "pgd": inputs.score(_part(part, "clean", path), f"{path}: {key} clean"),
                "autoattack": _before(_part(part, "autoattack", path), f"{path}: {key} autoattack"),
            },
            warnings=tuple(str(text) for text in part.get("warnings", ())),
        )
        for key, part in (("last", raw), ("best", raw.get("best")))
        if part is not None
    }


def _before(raw: Mapping[str, Any], where: str) -> inputs.Score:
    """Return the error of an ensemble's images before its first attack: after it, less those that it fooled."""
    first = (raw.get("attacks") or [None])[0]
    if not isinstance(first, dict):
        raise EwsError(f"{where}: names no 'attacks'. {inputs.REEVALUATE}")
    n = int(inputs.number(raw, "n", where=where, remedy=inputs.REEVALUATE))
    fooled = inputs.number(first, "fooled", where=where, remedy=inputs.REEVALUATE)
    wrong = round(inputs.percent(first, "error", where=where, remedy=inputs.REEVALUATE) * n / 100) - int(fooled)
    return inputs.Score(inputs.percent({"error": 100 * wrong / n}, "error", where=where, remedy=inputs.REEVALUATE), n)


def read_adaptive(path: Path, settings: Mapping[str, Any], *, record: Path) -> dict[str, Deceived]:
    """Read adaptive.json: the last epoch's weights as ``last``, and the selected ones, if any, as ``best``.

    Args:
        path: the file.
        settings: of the attacks, as the study's manifest has them.
        record: of the training, whose weights they must be.

    Raises:
        EwsError: missing, damaged, of an earlier training, or of other attacks.
    """
    raw = inputs.read_object(path, inputs.REEVALUATE)
    if raw.get("record") != sha256(record):
        raise EwsError(f"{path}: is of an earlier training than {record.name} describes. {inputs.REEVALUATE}")
    done = raw.get("settings") or {}
    if any(done.get(key) != value for key, value in settings.items()):
        raise EwsError(f"{path}: was attacked with other settings than the study asks for. {inputs.REEVALUATE}")
    parts = {"last": raw, "best": raw.get("best")}
    return {key: _deceived(part, path, key) for key, part in parts.items() if part is not None}


def _deceived(part: Mapping[str, Any], path: Path, key: str) -> Deceived:
    where = f"{path}: {key} router"
    router = _part(part, "router", path)
    shares = {
        name: inputs.score(_part(router, name, path), f"{where} {name}", column="percent")
        for name in ("suspected", "trusted")
        if name == "suspected" or router.get(name) is not None
    }
    error = inputs.score(_part(part, "adaptive", path), f"{path}: {key} adaptive")
    return Deceived(error, shares["suspected"], shares.get("trusted"))


def _part(raw: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(raw.get(name), dict):
        raise EwsError(f"{path}: has no {name!r}. {inputs.REEVALUATE}")
    part: Mapping[str, Any] = raw[name]
    return part
