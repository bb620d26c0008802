"""The manifest of sources: reading and checking ``data/sources.yaml``."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ews.core.errors import EwsError, did_you_mean, listed, shown, unknown
from ews.core.values import Line, LongLine
from ews.core.yaml_files import key_path, read_yaml
from ews.data.reader_registry import READERS

EMBEDDED = frozenset({"digits"})  # kinds that need no archive
DIGITS_OF = {"md5": 32, "sha256": 64}  # hex digits of each algorithm that a checksum may name
READING = ("image_size", "test_split", "allow_empty_classes")  # how image folders are read
NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,59}")

Text = Annotated[LongLine, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class Source(BaseModel):
    """One source of the manifest. An archive has ``file``, ``size`` and ``checksum``; see docs/data.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: Annotated[Line, Field(min_length=1)] = Field(description="What it is, for captions and records.")
    kind: Text = Field(description="How it is read: an entry of ews.data.reader_registry.READERS.")
    url: list[Text] = Field(default=[], description="Addresses, tried in order after the mirror.")
    file: Text | None = Field(default=None, description="The archive's name, in a mirror and in the cache.")
    size: Count | None = Field(default=None, description="The archive's length in bytes.")
    checksum: list[Text] = Field(default=[], description='"sha256:HEX" and/or "md5:HEX"; all have to agree.')
    folder: Text | None = Field(default=None, description="A folder of images in place of an archive.")
    image_size: Count | None = Field(default=None, description="Scale and crop images to this many pixels a side.")
    test_split: Literal["test", "val"] | None = Field(
        default=None, description="Which folder has the test images, where both are there: test or val."
    )
    allow_empty_classes: bool = Field(default=False, description="Leave out classes whose folders have no pictures.")
    train: Count | None = Field(default=None, description="Number of training images, checked after reading.")
    test: Count | None = Field(default=None, description="Number of test images, checked after reading.")
    classes: Count | None = Field(default=None, description="Number of classes, checked after reading.")
    licence: Text = Field(description="Terms of use.")
    citation: Text = Field(description="What to cite.")
    note: LongLine = Field(default="", description="Mirrors, provenance, caveats.")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in READERS:
            raise ValueError(f"unknown kind; valid: {', '.join(sorted(READERS))}")
        return kind

    @field_validator("checksum", mode="before")
    @classmethod
    def _one_or_more(cls, checksum: Any) -> Any:
        return [checksum] if isinstance(checksum, str) else checksum

    @field_validator("checksum")
    @classmethod
    def _well_formed(cls, checksum: list[str]) -> list[str]:
        for text in checksum:
            algorithm, _, digest = text.partition(":")
            if not re.fullmatch(f"[0-9a-f]{{{DIGITS_OF.get(algorithm, 0)}}}", digest) or algorithm not in DIGITS_OF:
                raise ValueError(f"{shown(text)} is not 'sha256:' and 64, or 'md5:' and 32, lower-case hex digits")
        return checksum

    @field_validator("url")
    @classmethod
    def _addresses(cls, url: list[str]) -> list[str]:
        for address in url:
            if not address.startswith(("https://", "http://")):
                raise ValueError(f"{shown(address)} does not start with https:// or http://")
        return url

    @field_validator("file")
    @classmethod
    def _plain_name(cls, file: str | None) -> str | None:
        if file is not None and (Path(file).name != file or file.startswith(".")):
            raise ValueError("has to be a file name without folders that does not start with a dot")
        return file

    @model_validator(mode="after")
    def _complete(self) -> Self:
        archive = {"file": self.file, "size": self.size, "checksum": self.checksum}
        given = [name for name, value in (*archive.items(), ("url", self.url)) if value]
        if self.kind in EMBEDDED or self.folder is not None:
            reason = f"kind {self.kind} has no archive" if self.kind in EMBEDDED else "folder stands in their place"
            if given:
                raise ValueError(f"{', '.join(given)} must not be given: {reason}")
        elif missing := [name for name, value in archive.items() if not value]:
            raise ValueError(f"{', '.join(missing)} missing; an archive needs file, size and checksum")
        if self.kind != "image_folder" and (self.folder is not None or self.reading):
            raise ValueError(f"{', '.join(('folder', *READING))} are for kind image_folder only")
        return self

    @property
    def reading(self) -> dict[str, Any]:
        """Return what the reader takes beside the archive: what the manifest sets of :data:`READING`."""
        return {name: value for name in READING if (value := getattr(self, name))}


def read_manifest(path: Path | str) -> dict[str, Source]:
    """Read a manifest: source's name -> source.

    Raises:
        EwsError: the file is missing, is not YAML, or breaks the rules; the message names the key,
            the value and what is valid.
    """
    found = read_yaml(path, missing="It lists where each dataset comes from; run from the project's top folder.")
    content = found.value
    if not isinstance(content, dict) or not content:
        raise EwsError(f"{path}: has to map the sources' names to their descriptions.")
    sources = {}
    with found.located():
        for name, entry in content.items():
            if not NAME.fullmatch(name):
                raise EwsError(
                    f"{path}: {shown(name)} is not a source's name; valid: a-z, 0-9 and _, the first not _, up to 60."
                )
            try:
                sources[name] = Source.model_validate(entry)
            except ValidationError as error:
                raise EwsError(_readable(str(path), name, error)) from None
    return sources


def find(manifest: Path | str, name: str, *, where: str = "") -> Source:
    """Return one source of a manifest.

    Raises:
        EwsError: the manifest is faulty, or has no such source; the message lists those it has.
    """
    sources = read_manifest(manifest)
    if name not in sources:
        raise unknown("source", name, sources, where=where or str(manifest))
    return sources[name]


def _readable(where: str, name: str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = key_path([name, *problem["loc"]])
        key = f"{where}: {path}"
        if problem["type"] == "extra_forbidden":
            hint = did_you_mean(problem["loc"][-1], Source.model_fields)
            lines.append(f"{where}: {path}: unknown key; valid: {listed(Source.model_fields)}.{hint}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing. {Source.model_fields[str(problem['loc'][0])].description}")
        else:
            value = "" if isinstance(problem["input"], dict) else f" (got {shown(problem['input'])})"
            lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}{value}.")
    return "\n".join(lines)
