"""What to say of a target that no rule makes: Snakemake only says that there is none."""

import logging
import re
from collections.abc import Callable, Iterable

from ews.core.errors import unknown

MISSING = "MissingRuleException"
_WILDCARD = re.compile(r"\{[^{}]*\}")
_TARGET = re.compile(r"No rule to produce (?P<target>\S+) \(")


def hint(
    target: str,
    *,
    targets: Iterable[str],
    studies: Iterable[str],
    datasets: Iterable[str],
    files: Iterable[str] = (),
) -> str:
    """Return what is probably meant by a target that no rule makes; empty where nothing in it is unknown.

    Args:
        target: as it was asked for: a name, or a file.
        targets: names that can be asked for.
        studies: in params.yaml.
        datasets: in params.yaml.
        files: outputs of the rules, with their wildcards.
    """
    folder, _, rest = target.partition("/")
    if not rest:
        return str(unknown("target", target, targets))
    name, _, rest = rest.partition("/")
    made = {part for dataset in datasets for part in (f"{dataset}-c", f"{dataset}-c-official")}
    valid = {"results": {*studies, *made, "runs"}, "data": {*datasets, *made, *(f"{one}-extra" for one in datasets)}}
    if folder in valid and rest and name not in valid[folder]:
        return str(unknown("folder", name, valid[folder], where=folder))
    within, _, file = target.rpartition("/")
    made = _names(target, files)
    return str(unknown("file", file, made, where=within)) if made and file not in made else ""


def _names(target: str, files: Iterable[str]) -> set[str]:
    """Return what files are called that rules make in a folder such as the target's, as far as names are fixed."""
    found: dict[str, set[str]] = {}
    for pattern in files:
        # A wildcard may hold its constraint, which has slashes.
        plain = _WILDCARD.sub("{}", pattern)
        name = plain.rpartition("/")[2]
        if "{" in plain and target.startswith(start := plain.partition("{")[0]):
            found.setdefault(start, set()).update(set() if "{" in name else {name})
    return found[max(found, key=len)] if found else set()


class TargetHint(logging.Filter):
    """Puts the hint before Snakemake's own words, where it logs that no rule makes a target."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        """Take what gives the hint of a target."""
        super().__init__()
        self._ask = ask

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to the message; every record passes."""
        found = _TARGET.search(str(record.msg)) if getattr(record, "exception", "") == MISSING else None
        if found and (words := self._ask(found["target"])):
            record.msg = f"error: {words}\n{record.msg}"
        return True


def install(logger: logging.Logger, ask: Callable[[str], str]) -> None:
    """Let a logger give hints, in place of those that an earlier workflow of this process gave."""
    for old in [each for each in logger.filters if isinstance(each, TargetHint)]:
        logger.removeFilter(old)
    logger.addFilter(TargetHint(ask))
