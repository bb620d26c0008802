"""Reading params.yaml: parse, validate, and say in one message what is wrong with it and where."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.errors import EwsError, did_you_mean, listed, shown, unknown
from ews.core.places import Content, key_path
from ews.core.yaml_files import read_yaml
from ews.data.sources import known_sources
from ews.methods.method_registry import METHODS
from ews.pipeline.study.key_paths import check_path
from ews.pipeline.study.methods import VANILLA, components
from ews.pipeline.study.schema import OFFICIAL, Dataset, Params, Study, Variant
from ews.pipeline.study.teacher_cells import check_teachers
from ews.pipeline.study.tuning_checks import check_tuning

WHERE = "params.yaml"
"""What messages call the settings; :meth:`~ews.core.places.Content.located` puts file and line in its place."""

MISSING = "Run from the project's top folder."
MISTAKES = 20
"""How many mistakes a message lists."""
REASON = 400
"""How many characters a reason has; that of a name which is none of the corruptions has 330."""


def load(path: Path | str = WHERE, *, sources: Path | str | None = None) -> Params:
    """Read and validate a params.yaml.

    Args:
        path: the file.
        sources: the manifest that the datasets' `source` keys refer to; None: those that are there.

    Raises:
        EwsError: missing, not YAML, or invalid; every mistake in it is listed, with its line and column.
    """
    return checked(read_yaml(path, missing=MISSING), sources=sources)


def checked(content: Content, *, sources: Path | str | None = None) -> Params:
    """Validate what was read.

    Raises:
        EwsError: invalid; every mistake in it is listed, with its line and column.
    """
    known = known_sources(sources)
    with content.located(WHERE):
        return validate(content.value, sources=known)


def validate(raw: Any, *, where: str = WHERE, sources: Iterable[str] | None = None) -> Params:
    """Check the content of params.yaml and return it typed.

    Args:
        raw: what YAML gave.
        where: what to call the file in messages.
        sources: the valid values of a dataset's `source`; None: not checked.

    Raises:
        EwsError: one line per mistake: key path, value, valid values.
    """
    if raw is None:
        raise EwsError(f"{where}: is empty, or holds comments alone. Take the file from the repository, or a copy.")
    if not isinstance(raw, dict):
        raise EwsError(f"{where}: must be a mapping of sections, not {type(raw).__name__}.")
    params = typed(raw, where=where)
    check_references(params, where=where, sources=sources)
    _check_studies(params, where=where)
    return params


def typed(raw: dict[str, Any], *, where: str | Callable[[str], str]) -> Params:
    """Return the content of params.yaml as its types; sections that are typed already stay as they are.

    Args:
        raw: the content.
        where: what to call the file in messages; or a function that returns it of a key path.

    Raises:
        EwsError: one line per mistake: key path, value, valid values.
    """
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [f"{where if isinstance(where, str) else where(at)}: {line}" for at, line in _explain(error, raw)]
        raise EwsError("\n".join(lines)) from None


def check_references(params: Params, *, where: str, sources: Iterable[str] | None = None) -> None:
    """Check the names by which the sections, studies apart, refer to each other.

    Raises:
        EwsError: names the first that does not fit.
    """
    for name, dataset in params.datasets.items():
        _check_corrupted(dataset, f"{where}: datasets.{name}")
        if sources is not None:
            _known(dataset.source, sources, "source", f"{where}: datasets.{name}.source")
        _known(dataset.architecture, params.architectures, "architecture", f"{where}: datasets.{name}.architecture")
        if sources is not None and dataset.corrupted.source == "official":
            _known(f"{dataset.source}_c", sources, "source", f"{where}: datasets.{name}.corrupted.source = 'official'")
        if name not in params.recipes:
            raise EwsError(f"{where}: recipes has no entry for dataset {name!r}; add recipes.{name}.standard.")
    for name in params.recipes:
        _known(name, params.datasets, "dataset", f"{where}: recipes")
    check_teachers(params, where=where)


def _check_studies(params: Params, *, where: str) -> None:
    """Check the names in studies."""
    for name in params.reproduce:
        _known(name, params.studies, "study", f"{where}: reproduce")
    for name, study in params.studies.items():
        at = f"{where}: studies.{name}"
        if name in {f"{dataset}{suffix}" for dataset in params.datasets for suffix in ("-c", "-c-official")}:
            raise EwsError(f"{at}: a study cannot be called so: results/{name} is the dataset's. Choose another name.")
        for dataset_name in study.dataset:
            _known(dataset_name, params.datasets, "dataset", f"{at}.dataset")
        for architecture in study.architecture or []:
            _known(architecture, params.architectures, "architecture", f"{at}.architecture")
        for augmentation in study.augmentation:
            AUGMENTATIONS.find(augmentation, where=f"{at}.augmentation")
        for method in study.method:
            components(method, where=f"{at}.method")
        for axis in ("dataset", "architecture", "augmentation", "method", "seed", "evaluations"):
            values = getattr(study, axis) or []
            if len(set(values)) < len(values):
                raise EwsError(f"{at}.{axis}: a value stands twice in {shown(values)}.")
        _check_recipes(study, params, where=f"{at}.recipe")
        for path in study.overrides:
            check_path(path, f"{at}.overrides")
        for variant, given in study.variants.items():
            if variant in (VANILLA, *METHODS):
                raise EwsError(
                    f"{at}.variants: a variant cannot be called {variant!r}: that is a method, and rows would read "
                    f"like compositions. Choose another name; valid: any but {', '.join((VANILLA, *METHODS))}."
                )
            for path in given.values:
                _check_variant(path, given, study, f"{at}.variants.{variant}")
            for method in given.method or ():
                _known(method, study.method, "method", f"{at}.variants.{variant}.method")
        if study.tune is not None:
            check_tuning(study, study.tune, study.seed or params.seeds, where=f"{at}.tune")


def _check_recipes(study: Study, params: Params, *, where: str) -> None:
    """Check that the recipes which a study names exist, for methods and for its data sets."""
    for method, name in study.recipe.items():
        components(method, where=where)
        for dataset in study.dataset:
            recipes = params.recipes[dataset]
            _known(name, recipes.names, "recipe", f"{where}: below recipes.{dataset}")


def _check_variant(path: str, variant: Variant, study: Study, where: str) -> None:
    """Refuse key paths that a variant cannot set: what a study has one of, and what its overrides set already."""
    check_path(path, where)
    if path.startswith("evaluation."):
        raise EwsError(f"{where}: {path!r}: all rows of a study are measured alike; write it under overrides.")
    # Beside the usual rows, which have the study's value, a variant of some methods alone can have another one.
    if path in study.overrides and variant.method is None:
        raise EwsError(f"{where}: {path!r} stands under overrides too; give it in one of the two places.")


def _check_corrupted(dataset: Dataset, where: str) -> None:
    """Check that a dataset is one, and that the corrupted images it asks for exist."""
    sets = {f"{source}_c": source for source in OFFICIAL}
    if dataset.source in sets:
        raise EwsError(
            f"{where}.source: {dataset.source} is a corrupted test set. Write source: {sets[dataset.source]}, and "
            "`source: official` below corrupted."
        )
    if dataset.corrupted.source == "official" and dataset.source not in OFFICIAL:
        raise EwsError(
            f"{where}.corrupted.source = 'official': corrupted images are published for the sources "
            f"{' and '.join(OFFICIAL)} ({', '.join(sets)} in data/sources.yaml); the test images of {dataset.source!r} "
            "are others. Use generated."
        )


def _known(name: str, valid: Iterable[str], kind: str, where: str) -> None:
    names = list(valid)
    if name not in names:
        raise unknown(kind, name, names, where=where)


def _explain(error: ValidationError, raw: Any) -> list[tuple[str, str]]:
    """Say each mistake in a line, beside its key path: that, the value, what is valid."""
    lines = []
    for item in error.errors(include_url=False):
        # Below an architecture pydantic names the family it took, and of a name that it is a key: not in the file.
        path = [
            part
            for place, part in enumerate(item["loc"])
            if not (place == 2 and item["loc"][0] == "architectures") and part != "[key]"
        ]
        at = key_path(path) or "(top level)"
        if item["type"] == "extra_forbidden":
            valid = _valid_keys(path[:-1], raw)
            hint = did_you_mean(path[-1], valid)
            lines.append((at, f"{at}: unknown key." + (f" Valid: {listed(valid)}.{hint}" if valid else "")))
        elif item["type"] == "missing":
            lines.append((at, f"{at}: missing."))
        else:
            lines.append((at, _wrong(at, item)))
    more = len(lines) - MISTAKES
    # One mistake, such as a list's place, may make hundreds.
    return lines if more <= 0 else [*lines[:MISTAKES], ("", f"{more} more mistakes; mend these first.")]


def _wrong(at: str, item: ErrorDetails) -> str:
    """Say what is wrong with a value: what it is, why, and what was meant perhaps."""
    given = item["input"]
    reason = item["msg"].removeprefix("Value error, ")
    hint = ""
    if isinstance(given, str) and _is_number(given):
        hint = " It is text: write numbers without quotes."
    elif item["type"] == "bool_type" and given in ("yes", "no", "on", "off"):
        hint = " Write true or false."
    elif item["type"] == "literal_error":
        hint = did_you_mean(given, re.findall(r"'([^']+)'", str(item["ctx"]["expected"])))
    # Of a section the reason names the keys that do not go together; its others would hide it.
    value = "" if isinstance(given, Mapping | BaseModel) else f" = {shown(given)}"
    reason = reason if len(reason) <= REASON else f"{reason[: REASON - 3]}..."
    return f"{at}{value}: {reason[0].lower()}{reason[1:]}.{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _valid_keys(path: list[int | str], raw: Any) -> list[str]:
    """Return the keys that are valid at a key path, by walking the JSON Schema beside the content."""
    schema = Params.model_json_schema()
    node, value = schema, raw
    for part in [*path, None]:
        if "oneOf" in node:
            family = value.get(node["discriminator"]["propertyName"]) if isinstance(value, Mapping) else None
            node = {"$ref": node["discriminator"]["mapping"].get(family, node["oneOf"][0]["$ref"])}
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        if part is None:
            break
        named = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
        node = node.get("properties", {}).get(part) or named or {}
        value = value.get(part) if isinstance(value, Mapping) else None
    return list(node.get("properties", {}))
