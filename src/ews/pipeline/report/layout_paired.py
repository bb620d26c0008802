"""The comparisons of rows with each other, as grids of text: over seeds, and over test images."""

from collections.abc import Mapping, Sequence

from ews.pipeline.report.layout import (
    NONE,
    Cell,
    Column,
    Grid,
    Row,
    key_of,
    method_name,
    naming_axes,
    ordered_keys,
    printed,
    signed,
)
from ews.pipeline.report.paired_images import RESAMPLES, Difference
from ews.pipeline.report.statistics import LEVEL, POWER, Paired, detectable, paired
from ews.pipeline.report.study_rows import Label, Manifest
from ews.pipeline.report.sweeps import find
from ews.pipeline.report.table_data import Results

Pairs = Mapping[tuple[Label, Label], Sequence[Paired | None]]  # by row and the one that it is compared with


def paired_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the paired comparison over seeds with vanilla or the like; None if no row has two pairs."""
    pairs = {
        (label, reference): _over_seeds(results, label, reference)
        for label in results.labels
        for reference in manifest.references(label)
    }
    named, what = _references(results, pairs)
    caption = (
        f"Paired comparison with {named}, percentage points: mean over seeds of (method − {what} of the same seed, "
        "data, network, augmentation and recipe) and in square brackets its 95 % t interval. Negative: the method is "
        "better. The interval speaks of other seeds, not of other test images, and is not corrected for the number of "
        "comparisons; there is none where all seeds differ by the same."
    )
    if power := _power(results, pairs):
        caption += f" {power}"
    return _paired(manifest, pairs, results.headline, name="paired", caption=caption)


def reference_grid(manifest: Manifest, results: Results) -> Grid | None:
    """Lay out the paired comparison of a swept parameter's values with its reference; None if it has none or no pairs.

    Vanilla stands in the other comparison.
    """
    sweep = find(manifest)
    if sweep is None or sweep.reference is None:
        return None
    pairs: dict[tuple[Label, Label], Sequence[Paired | None]] = {}
    for line in sweep.lines:
        reference = next((label for value, label in line.points if value == sweep.reference), None)
        for _, label in line.points:
            if reference is not None and label != reference:
                pairs[label, reference] = _over_seeds(results, label, reference)
    caption = (
        f"Paired comparison with {sweep.parameter} = {sweep.reference}, percentage points: mean over seeds of (this "
        "value − the reference of the same seed, all else alike) and in square brackets its 95 % t interval. Negative: "
        "this value is better. Not corrected for the number of comparisons; no interval where all seeds differ by the "
        "same."
    )
    return _paired(manifest, pairs, results.headline, name="reference", caption=caption)


def images_grid(manifest: Manifest, results: Results, differences: Sequence[Difference]) -> Grid | None:
    """Lay out the comparison over test images; None if nothing was compared image by image."""
    metrics = list(dict.fromkeys(one.metric for one in differences))
    found: dict[tuple[Label, Label], dict[str, Difference]] = {}
    for one in differences:
        found.setdefault((one.label, one.reference), {})[one.metric] = one
    pairs = {rows: [own[metric].paired if metric in own else None for metric in metrics] for rows, own in found.items()}
    sizes = {
        metric: sorted({(one.images, one.copies) for one in differences if one.metric == metric}) for metric in metrics
    }
    counted = "; ".join(
        f"{metric}: {' or '.join(f'{images:,} images' + _copies(copies) for images, copies in own)}"
        for metric, own in sizes.items()
    )
    named, what = _references(results, pairs)
    weights = ", whose predictions are kept, and not of the selected one" if results.last else ""
    caption = (
        f"Comparison with {named} on other test images, percentage points, with the last epoch's weights{weights}: "
        f"mean over seeds of (method − {what}) and in square brackets its 95 % percentile interval over "
        f"{RESAMPLES:,} bootstrap samples of the test images, all copies of an image together ({counted}). Negative: "
        "the method is better. The interval speaks of these trained networks on other images, not of other seeds, and "
        "is not corrected for the number of comparisons."
    )
    return _paired(manifest, pairs, metrics, name="images", caption=caption)


def _over_seeds(results: Results, label: Label, reference: Label) -> list[Paired | None]:
    """Compare two rows in each main metric."""
    own, other = results.values[label], results.values[reference]
    return [paired(own[metric].by_seed, other[metric].by_seed) for metric in results.headline]


def _references(results: Results, pairs: Pairs) -> tuple[str, str]:
    """Return what rows are compared with, in words, for the head and for the middle of a caption."""
    if not _several(pairs):
        return results.reference, results.reference
    others = dict.fromkeys(reference.method for label, reference in pairs if reference != results.baselines[label])
    return " and ".join([results.reference, *others]), "the method in the column “compared with”"


def _power(results: Results, pairs: Pairs) -> str:
    """Say how large a difference has to be for so many seeds to show it; nothing where no interval is shown."""
    tests = sum(pair is not None and pair.low is not None for found in pairs.values() for pair in found)
    parts = []
    for place, metric in enumerate(results.headline):
        smallest = []
        for (_, reference), found in pairs.items():
            pair, spread = found[place], results.values[reference][metric].deviation
            if pair is not None and pair.low is not None and spread:
                smallest.append(detectable(spread, pair.pairs, comparisons=tests))
        if smallest:
            ends = dict.fromkeys(f"{end:.2f}" for end in (min(smallest), max(smallest)))
            parts.append(f"{metric} {' to '.join(ends)}")
    if not parts:
        return ""
    return (
        f"Smallest difference that so many seeds show with {100 * POWER:.0f} % power, two-sided at "
        f"{100 * (1 - LEVEL):.0f} % divided by the {tests} comparisons here, if both rows spread over seeds as what "
        f"they are compared with does, and independently: {', '.join(parts)}."
    )


def _several(pairs: Pairs) -> bool:
    """Tell whether a row is compared with more than one other."""
    return len({label for label, _ in pairs}) < len(pairs)


def _copies(copies: int) -> str:
    return f" of {copies} copies" if copies > 1 else ""


def _paired(manifest: Manifest, pairs: Pairs, metrics: Sequence[str], *, name: str, caption: str) -> Grid | None:
    """Lay out paired differences by row, one for each metric; rows without an interval are left out."""
    heads, several = naming_axes(manifest), _several(pairs)
    rows = []
    for key in ordered_keys([label for label, _ in pairs], heads):
        for (label, reference), found in pairs.items():
            if key_of(label, heads) != key or all(pair is None or pair.low is None for pair in found):
                continue
            counts = {str(pair.pairs) for pair in found if pair}
            names = (*printed(key, heads), *([method_name(reference.method)] if several else []))
            rows.append(Row(names, (*map(_interval, found), Cell("/".join(sorted(counts))))))
    if not rows:
        return None
    columns = (*(Column(f"{metric}: difference") for metric in metrics), Column("pairs"))
    return Grid(name, caption, (*heads, *(["compared with"] if several else [])), columns, tuple(rows))


def _interval(pair: Paired | None) -> Cell:
    if pair is None:
        return Cell(NONE)
    centre = signed(pair.mean)
    # Equal differences have no spread to tell anything from: few images allow few values.
    if pair.low is None or pair.high is None or pair.low == pair.high:
        return Cell(centre)
    return Cell(f"{centre} [{signed(pair.low)}, {signed(pair.high)}]")
