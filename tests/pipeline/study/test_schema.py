"""The schema file for editors and the registries say the same as the schema's classes."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ews.augment.registry import AUGMENTATIONS
from ews.core.registry import Registry
from ews.corruptions.registry import CORRUPTIONS
from ews.methods.registry import METHODS
from ews.pipeline.evaluate.registry import EVALUATIONS
from ews.pipeline.study import method_schema, schema
from ews.subnets.search.registry import SEARCHES

ROOT = Path(__file__).parents[3]


def test_the_schema_file_is_up_to_date() -> None:
    written = json.loads((ROOT / "workflow/schemas/params.schema.json").read_text(encoding="utf-8"))
    message = "run: ews study schema --out workflow/schemas/params.schema.json"
    assert written == schema.Params.model_json_schema(), message


def fields(*models: Any) -> set[str]:
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize(
    ("registry", "names"),
    [
        (METHODS, fields(method_schema.Methods)),
        (AUGMENTATIONS, fields(schema.Augmentations)),
        (SEARCHES, set(get_args(method_schema.Ews.model_fields["search"].annotation))),
        (CORRUPTIONS, set(get_args(schema.Corruption))),
        (EVALUATIONS, set(get_args(schema.Evaluation))),
    ],
)
def test_schema_and_registry_name_the_same(registry: Registry[Any], names: set[str]) -> None:
    assert set(registry) == names


def test_every_key_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, definition in schema.Params.model_json_schema()["$defs"].items()
        for key, value in definition.get("properties", {}).items()
        if name in ("Ews", "Dropout", "AugMix", "AutoAugment", "Recipe", "Dataset", "Standard", "CorruptedSet")
        and not value.get("description")
    ]
    assert not undescribed
