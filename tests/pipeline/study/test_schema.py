"""The schema file for editors is what the types of params.yaml say, and describes what components bring."""

import json
from pathlib import Path
from typing import Any

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.corruptions import NAMES
from ews.methods.method_registry import METHODS
from ews.models.architecture_registry import ARCHITECTURES
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.study import schema
from ews.subnets.search.search_registry import SEARCHES

ROOT = Path(__file__).parents[3]
DEFINITIONS = schema.Params.model_json_schema()["$defs"]


def test_the_schema_file_is_up_to_date() -> None:
    written = json.loads((ROOT / "workflow/schemas/params.schema.json").read_text(encoding="utf-8"))
    message = "run: ews study schema --out workflow/schemas/params.schema.json"
    assert written == schema.Params.model_json_schema(), message


def test_an_editor_completes_what_the_registries_have() -> None:
    assert list(DEFINITIONS["Methods"]["properties"]) == list(METHODS)
    assert list(DEFINITIONS["Augmentations"]["properties"]) == list(AUGMENTATIONS)
    assert set(DEFINITIONS["EwsParameters"]["properties"]["search"]["enum"]) == set(SEARCHES)
    assert DEFINITIONS["CorruptionSection"]["properties"]["names"]["items"]["enum"] == list(NAMES)
    assert DEFINITIONS["Study"]["properties"]["evaluations"]["items"]["enum"] == list(EVALUATIONS)
    networks = schema.Params.model_json_schema()["properties"]["architectures"]["patternProperties"]
    (choice,) = networks.values()
    assert set(choice["discriminator"]["mapping"]) == set(ARCHITECTURES)


def test_the_teachers_and_the_network_of_a_component_are_part_of_its_section() -> None:
    assert {"extractor", "teachers", "epsilon"} <= DEFINITIONS["AwnetSection"]["properties"].keys()
    assert list(DEFINITIONS["AwpByObjective"]["properties"]) == ["at", "trades", "awnet"]


def defined(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DEFINITIONS.get(value.get("$ref", "").rpartition("/")[2], {})
    return found


def test_every_key_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, definition in DEFINITIONS.items()
        for key, value in definition.get("properties", {}).items()
        if name != "Study" and not (value.get("description") or defined(value).get("description"))
    ]
    assert not undescribed
