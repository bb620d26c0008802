"""What parameters are made of: types of values with their ranges, and sections that refuse unknown keys."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, WithJsonSchema
from pydantic_core.core_schema import literal_schema

from ews.core.levels import PATTERN, from_levels

Fraction = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=60)]
Names = Annotated[list[Name], Field(min_length=1)]


def _on_one_line(text: str) -> str:
    """Refuse what would leave its field in tables, captions and figures."""
    if text != text.strip():
        raise ValueError("begins or ends with a space; leave it out")
    for place, character in enumerate(text):
        if not character.isprintable():
            raise ValueError(
                f"the character {character!a} at position {place + 1} cannot stand in a line of text; write it in "
                "printable characters, with plain spaces and no line break"
            )
    return text


# Text of people that goes into tables, captions and figures: one line, nothing that steers a terminal or a renderer.
_LINE = Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"})
Line = Annotated[str, Field(max_length=200), AfterValidator(_on_one_line), _LINE]
LongLine = Annotated[str, Field(max_length=2000), AfterValidator(_on_one_line), _LINE]


def _of_range(value: Any) -> Any:
    """Read `8/255`, text for YAML, as the number that it is."""
    number = from_levels(value) if isinstance(value, str) else None
    return value if number is None else number


_LEVEL = WithJsonSchema(
    {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": f"^{PATTERN}$"}]}
)
# A change of a pixel: a number in [0, 1], or in grey levels, as `8/255`.
Level = Annotated[float, BeforeValidator(_of_range), Field(ge=0, le=1), _LEVEL]
StepSize = Annotated[float, BeforeValidator(_of_range), Field(gt=0, le=1), _LEVEL]
_DISTANCE = WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{PATTERN}$"}]})
# A change of an image in some norm: in the maximum norm that of a pixel, and then at most 1.
Distance = Annotated[float, BeforeValidator(_of_range), Field(ge=0), _DISTANCE]
StepLength = Annotated[float, BeforeValidator(_of_range), Field(gt=0), _DISTANCE]


class Section(BaseModel):
    """A group of parameters: immutable, no unknown keys, no silent conversion of strings to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def one_of(names: Sequence[str]) -> GetPydanticSchema:
    """Return what restricts a text to some names, in messages and in the JSON Schema as well: those of a registry."""
    return GetPydanticSchema(lambda *_: literal_schema(list(names)))
