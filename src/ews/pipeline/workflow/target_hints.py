"""What to say of a target that no rule makes: Snakemake only says that there is none."""

import logging
import re
from collections.abc import Callable, Iterable

from ews.core.errors import unknown

MISSING = "MissingRuleException"
_WILDCARD = re.compile(r"\{(\w+)(,[^{}]*)?\}")
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
    within = target.rpartition("/")[0]
    found: set[str] = set()
    for pattern in files:
        # A wildcard may hold its constraint, which has slashes.
        wildcards = [constraint[1:] for _, constraint in _WILDCARD.findall(pattern)]
        folder, _, name = _WILDCARD.sub("{}", pattern).rpartition("/")
        count = folder.count("{}")
        parts = [re.escape(part) for part in folder.split("{}")]
        held = [f"(?:{one or '.+'})" for one in wildcards[:count]]
        expected = parts[0] + "".join(one + part for one, part in zip(held, parts[1:], strict=True))
        if count and re.fullmatch(expected, within):
            found |= _written_out(name, wildcards[count:])
    return found


def _written_out(name: str, wildcards: list[str]) -> set[str]:
    """Return the names that a pattern of one stands for, where its wildcards are lists of words; else none."""
    names = {name}
    for words in wildcards:
        if not re.fullmatch(r"[\w|-]+", words):
            return set()
        names = {one.replace("{}", word, 1) for one in names for word in words.split("|")}
    return names


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
