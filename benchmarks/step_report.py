"""The page of the step benchmark, from its result."""

from collections.abc import Mapping
from typing import Any

from common import machine_line

# network -> row -> what is to be reached: at most, or for the comparison with masks at least.
TARGETS = {
    "resnet18": {"ews": 1.75, "against_masked": 1.5, "memory_ews": 1.15, "sample": 0.005, "update": 0.03},
    "resnet50": {"ews": 1.85, "against_masked": 1.5, "memory_ews": 1.20, "sample": 0.005, "update": 0.03},
}
ROWS = {
    "ews": "EWS step / vanilla step",
    "ews_part": "the same, subnet on half of the batch",
    "masked": "masked step / vanilla step",
    "masked_nchw": "masked step in NCHW memory (torch's default) / vanilla step",
    "against_masked": "masked step / EWS step",
    "against_masked_nchw": "masked step in NCHW memory / EWS step",
    "added": "what masks add to a vanilla step / what EWS adds",
    "sample": "one controller sample / vanilla step",
    "update": "controller update, C = 1, amortised at K = 10 / vanilla step",
    "memory_ews": "peak memory EWS / vanilla",
    "memory_masked": "peak memory masked, one joint backward / vanilla",
}
AT_LEAST = ("against_masked", "against_masked_nchw")


def markdown(result: Mapping[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# Cost of an EWS step",
        "",
        f"Subnet width {settings['width']}. Median [quartiles] of {settings['repeats']} repetitions, in each of which "
        "every kind of step runs once; ratios are formed within a repetition. `bound`: from counted operations alone. "
        "`processor`: the same ratio of this process's processor time, which other programs disturb less than the "
        "wall clock (it counts waiting threads as busy).",
        "",
        machine_line(result["machine"]),
    ]
    for row in result["measurements"]:
        lines += ["", *_measurement(row)]
    return "\n".join([*lines, ""])


def _measurement(row: Mapping[str, Any]) -> list[str]:
    vanilla = row["seconds"]["wall"]["vanilla"]["median"]
    gigaflops = row["bounds"]["gigaflop_per_image"] * row["batch"] / vanilla
    peak = row["matrix_peak"]["median"] / 1e9
    ratios = {clock: dict(values) for clock, values in row["ratios"].items()}
    if row["memory"]:
        ratios["wall"] |= {f"memory_{kind}": row["memory"]["ratios"][kind] for kind in ("ews", "masked")}
    bounds = {**row["bounds"], "memory_ews": 1.0, "masked_nchw": row["bounds"]["masked"]}
    bounds["against_masked_nchw"] = row["bounds"]["against_masked"]
    targets = TARGETS.get(row["network"], {})
    lines = [
        f"## {row['network']}, batch {row['batch']}, {row['mode']}",
        "",
        f"Vanilla step: {1000 * vanilla:.1f} ms, {row['batch'] / vanilla:.0f} images/s, {gigaflops:,.0f} GFLOP/s: "
        f"{gigaflops / peak:.0%} of a matrix product's {peak:,.0f} in the same precision.",
        "",
        "| | bound | measured | processor | to reach |",
        "|---|---:|---:|---:|---:|",
    ]
    for key, title in ROWS.items():
        if key not in ratios["wall"]:
            continue
        small = key in ("sample", "update")
        other = ratios.get("processor", {}).get(key)
        target = targets.get(key)
        verdict = "" if target is None else f"{'>=' if key in AT_LEAST else '<='} {target:g}"
        lines.append(
            f"| {title} | {_number(bounds.get(key), small)} | {_spread(ratios['wall'][key], small)} | "
            f"{_spread(other, small)} | {verdict} |"
        )
    if row["memory"]:
        peaks = ", ".join(f"{kind} {value['median'] / 2**20:.0f}" for kind, value in row["memory"]["bytes"].items())
        lines += ["", f"Peak memory in MiB: {peaks}."]
    return [*lines, "", *_kinds(row)]


def _kinds(row: Mapping[str, Any]) -> list[str]:
    """Return where the time goes, and what keeps the subnet's pass above its bound."""
    full, subnet = row["kinds"]["full"], row["kinds"]["subnet"]
    bound = row["bounds"]["ews"] - 1
    lines = [
        "One pass with its backward, by kind of operation (profiler, the fastest of 3 runs):",
        "",
        "| | full [ms] | subnet [ms] | ratio |",
        "|---|---:|---:|---:|",
    ]
    for kind in full:
        share = f"{subnet[kind] / full[kind]:.2f}" if full[kind] > 0.0005 * sum(full.values()) else ""
        lines.append(f"| {kind} | {1000 * full[kind]:.2f} | {1000 * subnet[kind]:.2f} | {share} |")
    total = sum(full.values()), sum(subnet.values())
    lines.append(f"| all | {1000 * total[0]:.2f} | {1000 * total[1]:.2f} | {total[1] / total[0]:.2f} |")
    excess = {kind: (subnet[kind] - bound * full[kind]) / total[0] for kind in full}
    parts = ", ".join(f"{kind} {value:+.3f}" for kind, value in sorted(excess.items(), key=lambda item: -item[1]))
    return [
        *lines,
        "",
        f"Were every operation in proportion to the arithmetic, the ratio would be {bound:.2f}. "
        f"Excess by kind, in full passes: {parts}.",
    ]


def _number(value: float | None, small: bool) -> str:
    return "" if value is None else f"{value:.{4 if small else 2}f}"


def _spread(value: Mapping[str, float] | None, small: bool) -> str:
    if value is None:
        return ""
    digits = 4 if small else 2
    return f"{value['median']:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"
