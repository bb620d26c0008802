"""What a caption says of attacks: whose weights were attacked, and reasons to distrust the numbers."""

from collections.abc import Sequence

from ews.pipeline.evaluate.adversarial.adversarial_scores import autoattack, pgd
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialOptions
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.evaluate.scores import SELECTED
from ews.pipeline.report.inputs import RunRecord
from ews.pipeline.report.metric_names import NEUTRAL
from ews.pipeline.report.study_rows import Manifest
from ews.pipeline.report.table_data import Results

SELECTION = (
    "Errors marked (best) are of the weights of the epoch with the lowest error on validation images, under PGD where "
    "the training run is adversarial, since the paper stops early; all others are of the last epoch. The test images "
    "selected nothing; the released code selects on them."
)
MOST = 5
"""Warnings in a caption; records.json has them all."""


def attack(manifest: Manifest) -> AdversarialOptions | None:
    """Return the attacks of a study; None: it does not attack."""
    return manifest.asked("adversarial", AdversarialOptions)


def further(results: Results) -> dict[str, list[str]]:
    """Return the metrics that stand in a table of their own, by evaluation.

    They are of the weights that the main table is of.
    """
    found = {}
    for kind in results.options:
        own = [
            name
            for start in EVALUATIONS[kind].scoring().further
            for name in results.metrics
            if name.startswith(start) and name.endswith(SELECTED) == bool(results.last)
        ]
        if own:
            found[kind] = own
    return found


def further_caption(results: Results) -> str:
    """Say what the metrics of :func:`further` are, and on how many images."""
    sentences: list[str] = []
    for kind, own in further(results).items():
        counts = {name: _images(results, name) for name in own}
        sentences += EVALUATIONS[kind].scoring().explain(results.options[kind], counts)
    ranked = any(not name.startswith(NEUTRAL) for own in further(results).values() for name in own)
    bold = "; in bold the best mean of each group" if ranked else ""
    return f"{' '.join(sentences)} Means over seeds ± sample standard deviations{bold}."


def _images(results: Results, metric: str) -> str:
    counts = {row[metric].n for row in results.values.values() if metric in row} - {None}
    return " or ".join(f"{count:,}" for count in sorted(filter(None, counts)))


def subset(manifest: Manifest, results: Results) -> str:
    """Say that AutoAttack's images are fewer than PGD's, where they are: else its error would look impossibly low."""
    options = attack(manifest)
    if options is None:
        return ""
    counts = [{row[name].n for row in results.values.values()} for name in (pgd(options), autoattack(options))]
    if counts[0] == counts[1]:
        return ""
    return (
        "AutoAttack tried fewer images than PGD did, so that its error may lie below PGD's: compare it within its own "
        "column alone."
    )


def notes(records: Sequence[RunRecord]) -> list[str]:
    """Say how networks were measured, where that depends on them; each sentence once."""
    return list(dict.fromkeys(text for record in records for texts in record.notes.values() for text in texts))


def signs(manifest: Manifest, records: Sequence[RunRecord]) -> list[str]:
    """Name every sign of masked gradients, of the last epoch's weights and of the selected ones, or say: none."""
    if attack(manifest) is None:
        return []
    found = []
    for entry, record in zip(manifest.entries, records, strict=True):
        warned = record.warnings.get("adversarial", {})
        last = warned.get("last", ())
        # Where the last epoch was selected, both are one network, and one warning is enough.
        texts = [*last, *(f"(best) {text}" for text in warned.get("best", ()) if text not in last)]
        found += [f"{entry.label.method}, seed {entry.seed}: {text}" for text in texts]
    if not found:
        return ["No sign of masked gradients was seen."]
    rest = f" And {len(found) - MOST} more, in records.json." if len(found) > MOST else ""
    return [f"WARNING, signs of masked gradients: {' '.join(found[:MOST])}{rest}"]
