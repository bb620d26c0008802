"""Where settings come from: params.yaml, files laid over it, and single values laid over these."""

import argparse
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ews.core.command_line import Parser, Reads
from ews.core.errors import EwsError
from ews.core.files import write_text
from ews.core.places import Content, Place
from ews.core.yaml_files import parse_yaml, read_yaml
from ews.data.sources import manifests
from ews.pipeline.commands import Words
from ews.pipeline.study.params import MISSING, WHERE, checked
from ews.pipeline.study.schema import Params

PARAMS = Path(WHERE)
MERGED = Path(".snakemake/ews")
"""Where settings lie that several files and values make together; nothing there is needed after a run."""


@dataclass(frozen=True)
class Settings:
    """Where settings come from, in the order in which Snakemake lays them over each other.

    Attributes:
        params: the tracked file.
        configfiles: files laid over it, the later ones over the earlier ones.
        entries: values laid over these, as ``KEY=VALUE``: a key of the top level, and YAML.
        replace: leave ``params`` out, as ``snakemake --replace-workflow-config`` does.
    """

    params: Path = PARAMS
    configfiles: tuple[Path, ...] = ()
    entries: tuple[str, ...] = ()
    replace: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Settings":
        """Return what the options of :func:`add_options` say."""
        return cls(arguments.params, tuple(arguments.configfile), tuple(arguments.config), arguments.replace_params)

    @property
    def snakemake(self) -> Words:
        """The options that give Snakemake the same files and values over its params.yaml."""
        words = ["--configfile", *map(str, self.configfiles)] if self.configfiles else []
        words += ["--config", *self.entries] if self.entries else []
        return [*words, "--replace-workflow-config"] if self.replace else words

    def read(self) -> Content:
        """Read the files and lay them over each other: sections key by key; anything else is replaced.

        Raises:
            EwsError: a file or a value is no YAML, or no mapping where there are several.
        """
        instead = self.replace and (self.configfiles or self.entries)
        contents = [] if instead else [read_yaml(self.params, missing=MISSING)]
        contents += [read_yaml(path, missing="--configfile names it.") for path in self.configfiles]
        contents += [_entry(entry) for entry in self.entries]
        if len(contents) == 1:
            return contents[0]
        value: Any = {}
        places: dict[str, Place] = {}
        for content in contents:
            over = {} if content.value is None else content.value
            if not isinstance(over, dict):
                raise EwsError(f"{content.name}: must be a mapping of sections, not {type(over).__name__}.")
            value = _merged(value, over)
            lists = tuple(f"{path}[" for path in content.places)
            places = {path: place for path, place in places.items() if not path.startswith(lists)}
            places |= content.places
        return Content(value, " + ".join(content.name for content in contents), places)

    def file(self, content: Content) -> Path:
        """Return a file that holds these settings: the only one there is, or one that is written for them.

        Its name is a hash of its content, so that no other start of the workflow changes it; it is written atomically.

        Args:
            content: what :meth:`read` returned, and planning found right.
        """
        if not (self.configfiles or self.entries):
            return self.params
        # In the order that they were given in, which is that of sweeps and rows. JSON is YAML. A mirror, in which a
        # password may stand, concerns no step that reads settings.
        value = {key: None if key == "mirror" else section for key, section in content.value.items()}
        text = json.dumps(value, indent=1, allow_nan=False) + "\n"
        path = MERGED / f"params-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        if not path.exists():
            write_text(path, text)
        return path

    @contextlib.contextmanager
    def planning(self, *, sources: Path | str | None = None) -> Iterator[Params]:
        """Read and validate; yield what that gives, and name file and line in errors of the block that plans with it.

        Raises:
            EwsError: missing, not YAML, or invalid; every mistake is listed, with line and column.
        """
        content = self.read()
        with content.located(WHERE):
            yield checked(content, sources=sources)


def add_options(parser: Parser) -> None:
    """Give a command the options that say where settings come from; it reads the manifests of sources, too."""
    parser.unnamed["manifest"] = manifests()
    parser.add_argument("--params", type=Reads(), default=PARAMS, help="the parameters (default: %(default)s)")
    parser.add_argument(
        "--configfile",
        type=Reads(),
        action="append",
        default=[],
        metavar="FILE",
        help="laid over the parameters, as snakemake --configfile does; may be given several times",
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="laid over these, as snakemake --config does: a key of the top level, and YAML; several times",
    )
    parser.add_argument(
        "--replace-params",
        action="store_true",
        help="the files and values in place of the parameters, as snakemake --replace-workflow-config has it",
    )


def _entry(entry: str) -> Content:
    key, sign, text = entry.partition("=")
    if not sign or not key:
        raise EwsError(f"--config {entry[:80]!r}: write KEY=VALUE, such as reproduce=[table1].")
    found = parse_yaml(text, name=f"--config {key}")
    places = {f"{key}{'' if path.startswith('[') else '.'}{path}": place for path, place in found.places.items()}
    return Content({key: found.value}, found.name, {key: Place(found.name, 1, 1)} | places)


def _merged(below: Any, over: Any) -> Any:
    """Return mappings joined key by key, at every level; of anything else the one that lies over the other."""
    if not isinstance(over, dict) or not isinstance(below, dict):
        return over
    return below | {key: _merged(below.get(key), value) for key, value in over.items()}
