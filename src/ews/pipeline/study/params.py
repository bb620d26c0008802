"""Reading params.yaml: parse, validate, and say in one message what is wrong with it and where."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.errors import EwsError, unknown
from ews.methods.method_registry import METHODS
from ews.pipeline.study.key_paths import check_path
from ews.pipeline.study.methods import VANILLA, components
from ews.pipeline.study.schema import OFFICIAL, Dataset, Params, Study, Variant
from ews.pipeline.study.teacher_cells import check_teachers
from ews.pipeline.study.tuning_checks import check_tuning

SOURCES = Path("data/sources.yaml")


def load(path: Path | str = "params.yaml", *, sources: Path | str = SOURCES) -> Params:
    """Read and validate a params.yaml.

    Args:
        path: the file.
        sources: the manifest that the datasets' `source` keys refer to.

    Raises:
        EwsError: missing, not YAML, or invalid; every mistake in it is listed.
    """
    try:
        raw = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_NoDuplicates)
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file; run from the project's top folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EwsError(f"{path}: not valid YAML: {error}") from None
    return validate(raw, where=str(path), sources=read_sources(sources))


class _NoDuplicates(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is a mistake: the first entry would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose own keys (merged ones aside) are all different."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"the key {key!r} stands twice in the mapping that begins in line {line}")
        return super().construct_mapping(node, deep)


def read_sources(path: Path | str) -> set[str]:
    """Return the names of the sources in a manifest."""
    try:
        manifest = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EwsError(f"{path}: no such file; it lists where each dataset comes from.") from None
    except yaml.YAMLError as error:
        raise EwsError(f"{path}: not valid YAML: {error}") from None
    entries = manifest.get("sources", manifest) if isinstance(manifest, dict) else {}
    return set(entries)


def validate(raw: Any, *, where: str = "params.yaml", sources: Iterable[str] | None = None) -> Params:
    """Check the content of params.yaml and return it typed.

    Args:
        raw: what YAML gave.
        where: what to call the file in messages.
        sources: the valid values of a dataset's `source`; None: not checked.

    Raises:
        EwsError: one line per mistake: key path, value, valid values.
    """
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
                raise EwsError(f"{at}.{axis}: a value stands twice in {values}.")
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
        # Below an architecture pydantic names the family it took, which is no key of the file.
        path = [
            part for place, part in enumerate(item["loc"]) if not (place == 2 and item["loc"][0] == "architectures")
        ]
        at = _spell(path)
        kind = item["type"]
        if kind == "extra_forbidden":
            valid = _valid_keys(path[:-1], raw)
            lines.append((at, f"{at}: unknown key. Valid: {', '.join(valid)}." if valid else f"{at}: unknown key."))
        elif kind == "missing":
            lines.append((at, f"{at}: missing."))
        else:
            reason = item["msg"].removeprefix("Value error, ")
            hint = ""
            if isinstance(item["input"], str) and _is_number(item["input"]):
                hint = " It is text: write numbers without quotes, and 1.0e-3 for 1e-3, which YAML reads as text."
            # Of a section the reason names the keys that do not go together; its others would hide it.
            value = "" if isinstance(item["input"], Mapping | BaseModel) else f" = {item['input']!r}"
            lines.append((at, f"{at}{value}: {reason[0].lower()}{reason[1:]}.{hint}"))
    return lines


def _spell(path: list[int | str]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


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
