"""The schema file for editors and the registries say the same as the schema's classes."""

import importlib
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ews.pipeline.study import method_schema, schema

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
        ("ews.methods", fields(method_schema.Methods)),
        ("ews.augment", fields(schema.Augmentations)),
        ("ews.subnets.search", set(get_args(method_schema.Ews.model_fields["search"].annotation))),
        ("ews.corruptions", set(get_args(schema.Corruption))),
        ("ews.pipeline.evaluate", set(get_args(schema.Evaluation))),
    ],
)
def test_schema_and_registry_name_the_same(registry: str, names: set[str]) -> None:
    assert set(importlib.import_module(registry).REGISTRY) == names


def test_every_key_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, definition in schema.Params.model_json_schema()["$defs"].items()
        for key, value in definition.get("properties", {}).items()
        if name in ("Ews", "Dropout", "AugMix", "AutoAugment", "Recipe", "Dataset", "Standard", "CorruptedSet")
        and not value.get("description")
    ]
    assert not undescribed
