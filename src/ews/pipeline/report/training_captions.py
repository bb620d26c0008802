"""What captions say of the rows' training beyond the method: recipes, variants, values other than the defaults."""

from collections.abc import Iterable

from pydantic import JsonValue

from ews.core.levels import as_levels, from_levels
from ews.pipeline.evaluate.scores import listing
from ews.pipeline.report.study_rows import Entry, Manifest
from ews.pipeline.study.naming import RECIPE, reads_as, spell
from ews.pipeline.study.recipe_spec import Recipe


def recipes(manifest: Manifest) -> str:
    """Name the recipes where a study gives some by name, and what they differ in; nothing where it gives none."""
    found: dict[str, list[Recipe]] = {}
    for entry in manifest.entries:
        found.setdefault(entry.recipe, []).append(entry.cell.recipe)
    if not any(RECIPE in entry.differs for entry in manifest.entries):
        return ""
    if len(found) == 1:
        return f"All rows were trained under the recipe {next(iter(found))}."
    values = {name: {key: _values(used, key) for key in Recipe.model_fields} for name, used in found.items()}
    apart = [key for key in Recipe.model_fields if len({own[key] for own in values.values()}) > 1]
    texts = [f"{name} ({listing(f'{key} {own[key]}' for key in apart)})" for name, own in values.items()]
    return f"Rows were trained under different recipes and so differ in more than their method: {'; '.join(texts)}."


def variants(manifest: Manifest) -> str:
    """Say what the variants that rows are named by set."""
    texts = [
        f"{name}: {listing(f'{_short(path)}={_levels(value)}' for path, value in values.items())}"
        for name, values in manifest.variants.items()
        if values
    ]
    return f"Variants: {'; '.join(texts)}." if texts else ""


def tuned(manifest: Manifest) -> str:
    """Say how the rows' values were chosen, and which; nothing of a study that tunes nothing."""
    found = manifest.tuned
    if found is None:
        return ""
    error = "clean error" if found.by == "clean" else f"mean error under {listing(found.corruptions)}"
    groups = {choice.group for choice in found.chosen}
    texts = []
    for choice in found.chosen:
        values = (f"{_short(path)}={_levels(value)}" for path, value in choice.values.items())
        place = f" ({'/'.join(choice.group)})" if len(groups) > 1 else ""
        texts.append(f"{choice.arm}{place} {listing(values)}")
    edges = [f"{choice.arm} ({listing(map(_short, choice.at_edge))})" for choice in found.chosen if choice.at_edge]
    edge = f" At an edge of what was tried: {listing(edges)}." if edges else ""
    return (
        f"Values were tuned before: for each of {listing(dict.fromkeys(choice.arm for choice in found.chosen))} "
        f"{found.trials} combinations on seeds of their own ({listing(found.seeds)}), chosen by the {error} on "
        f"{found.validation_images:,} validation images; no test image took part. Chosen: {'; '.join(texts)}.{edge}"
    )


def changed(manifest: Manifest) -> str:
    """Name the values that differ from the defaults and stand in no row's name: those that a study sets once."""
    found: dict[str, None] = {}
    for entry in manifest.entries:
        named = _named(entry, manifest)
        for key, value in entry.differs.items():
            # A folder's ``ews.width=0.5`` is a row's ``width=0.5``.
            if key != RECIPE and not any(key.endswith(f".{last}") and reads_as(own, value) for last, own in named):
                found[f"{key}={_levels(value)}"] = None
    return f"Values other than the defaults: {listing(found)}." if found else ""


def _named(entry: Entry, manifest: Manifest) -> list[tuple[str, JsonValue]]:
    """Return what a row's name stands for: last keys and values, as written, of itself, its variant and tuning."""
    parts = [part.strip() for part in entry.label.method.split(",")]
    found: list[tuple[str, JsonValue]] = []
    for part in parts:
        last, equals, text = part.partition("=")
        if equals:
            found.append((last, text))
        found += [(path.rpartition(".")[2], value) for path, value in manifest.variants.get(part, {}).items()]
    for choice in manifest.tuned.chosen if manifest.tuned else ():
        if choice.group == entry.label.group and choice.arm in parts:
            found += [(path.rpartition(".")[2], value) for path, value in choice.values.items()]
    return found


def _levels(value: JsonValue) -> str:
    """Spell a value, in grey levels where that is the same number and shorter: no one reads 0.06274509803921569."""
    text = spell(value)
    if not isinstance(value, float):
        return text
    levels = as_levels(value)
    return levels if from_levels(levels) == value and len(levels) < len(text) else text


def _values(used: Iterable[Recipe], key: str) -> str:
    return " or ".join(dict.fromkeys(spell(getattr(recipe, key)) or "none" for recipe in used))


def _short(path: str) -> str:
    """Shorten a key path: a recipe's keys are known by their names."""
    return path.rpartition(".")[2] if path.startswith("recipes.") else path.removeprefix("methods.")
