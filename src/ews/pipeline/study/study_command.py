"""Look at what params.yaml plans: ``ews study {check,list,cell,manifest,schema}``; ``tune`` is a command of its own."""

import json
from argparse import Namespace
from collections.abc import Sequence

from ews.core.command_line import Parser, Writes
from ews.core.documents import write_sealed
from ews.core.errors import EwsError, unknown
from ews.core.files import write_text
from ews.data.sources import known_sources
from ews.pipeline.study.attack_efforts import weak_attacks
from ews.pipeline.study.cells import manifest, merged, trainings
from ews.pipeline.study.idle_options import idle_options
from ews.pipeline.study.naming import digest
from ews.pipeline.study.plans import all_cells, plan_all, plan_one
from ews.pipeline.study.schema import Params
from ews.pipeline.study.settings import Settings, add_options
from ews.pipeline.study.sizes import Size, check_sizes


def main(argv: Sequence[str]) -> None:
    """Parse the command line and do what it says."""
    parser = Parser(prog="ews study", description=__doc__)
    add_options(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="validate params.yaml and count what it plans")
    listing = commands.add_parser("list", help="the run folders of a study")
    listing.add_argument("study")
    listing.add_argument("--teachers", action="store_true", help="also the runs that they learn from")
    cell = commands.add_parser("cell", help="a cell's resolved parameters, as `ews train --cell` takes them")
    cell.add_argument("run", help="folder below results/runs")
    writing = commands.add_parser("manifest", help="write a study's manifest")
    writing.add_argument("study")
    writing.add_argument("--out", type=Writes(), required=True)
    writing.add_argument("--digest", help="of the manifest that the workflow planned; refuse to write another")
    schema = commands.add_parser("schema", help="write the JSON Schema of params.yaml")
    schema.add_argument("--out", type=Writes(), required=True)
    arguments = parser.parse_args(argv)

    if arguments.command == "schema":
        write_text(arguments.out, json.dumps(Params.model_json_schema(), indent=2) + "\n")
        return
    settings = Settings.of(arguments)
    with settings.planning() as params:
        _answer(arguments, params)


def _answer(arguments: Namespace, params: Params) -> None:
    """Do what the command line says."""
    if arguments.command in ("list", "manifest") and arguments.study not in params.studies:
        raise unknown("study", arguments.study, params.studies)
    if arguments.command == "check":
        plans = plan_all(params)
        sizes = {name: Size.of(source) for name, source in known_sources().items()}
        check_sizes(params, plans.everything, sizes)
        cells = merged(plans.everything)
        taught = len(trainings(cells.values())) - len({entry.run for entry in cells.values()})
        more = f", and {taught} that they learn from" if taught else ""
        name = " + ".join(map(str, [arguments.params, *arguments.configfile, *arguments.config]))
        print(f"{name}: valid; {len(params.studies)} studies, {len(cells)} different cells{more}.")
        for line in plans.untuned.values():
            print(line)
        for study, entries in plans.studies.items():
            weak = weak_attacks((entry.cell, entry.asked, entry.teachers.values()) for entry in entries)
            for line in [*weak, *idle_options(params.studies[study], trainings(entries).values())]:
                print(f"{name}: studies.{study}: {line}")
    elif arguments.command == "list":
        entries = plan_one(params, arguments.study).cells(arguments.study)
        results = dict.fromkeys(entry.results for entry in entries)
        if arguments.teachers:
            results |= dict.fromkeys(run for run in trainings(entries) if run not in {entry.run for entry in entries})
        print("\n".join(results))
    elif arguments.command == "manifest":
        plans = plan_one(params, arguments.study)
        content = manifest(params, arguments.study, plans.cells(arguments.study), plans.tuned.get(arguments.study))
        if arguments.digest not in (None, digest(content)):
            raise EwsError(
                "the settings are not what the workflow planned with: a file of them changed since, or other "
                "--configfile or --config were given. Run snakemake again."
            )
        write_sealed(arguments.out, content)
    else:
        planned = all_cells(params)
        found = trainings(planned.values()) | {results: entry.cell for results, entry in planned.items()}
        if arguments.run not in found:
            raise EwsError(f"{arguments.run}: no study plans this run; `ews study list STUDY` names them.")
        print(found[arguments.run].model_dump_json(indent=2))
