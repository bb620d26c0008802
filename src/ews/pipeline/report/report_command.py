"""Numbers, tables and figures of a study: ``ews report {measure,table,figures}``."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ews.core import sums
from ews.core.command_line import Parser, Reads, Writes
from ews.core.finished import MANAGED, let_go
from ews.pipeline.artifacts import run_files
from ews.pipeline.evaluate.evaluation_registry import EVALUATIONS
from ews.pipeline.report import reported, study_rows
from ews.pipeline.report.inputs import Inputs

REMAKE = "Make the numbers again with `ews report measure ...`, or let snakemake do it."


def main(argv: Sequence[str]) -> None:
    """Parse the command line and do what it says."""
    parser = Parser(prog="ews report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    measuring = commands.add_parser("measure", help="gather the numbers and records of a study's runs")
    _add(measuring, "study", "runs", "reported")
    measuring.add_argument("--out", type=Writes(), required=True, help="measurements.csv")
    measuring.add_argument("--records", type=Writes(), required=True, help="records.json: the runs' records")
    measuring.add_argument("--metrics", type=Writes(), required=True, help="metrics.json: means, for `dvc metrics`")
    measuring.add_argument(
        "--images", type=Writes(), help="images.csv: rows compared image by image (default: not made)"
    )

    measuring.add_argument("--managed", action="store_true", help=MANAGED)

    tabling = commands.add_parser("table", help="write table.{csv,md,tex,html} and caption.txt")
    _add(tabling, "study", "measurements", "reported")
    _add_folder(tabling, "table.*", "caption.txt")
    tabling.add_argument("--records", type=Reads(), help="records.json (default: beside the measurements)")
    tabling.add_argument("--images", type=Reads(), help="images.csv (default: the table is without that comparison)")

    drawing = commands.add_parser("figures", help="write the figures as SVG")
    _add(drawing, "study", "runs", "measurements")
    _add_folder(drawing, "*.svg", "*.png")
    own = [name for name, spec in EVALUATIONS.items() if spec.figure]
    drawing.add_argument("--evaluation", choices=own, help="its own figure alone (default: those of every study)")
    drawing.add_argument("--format", choices=("svg", "png"), default="svg", help="png is for a look (default: svg)")

    arguments = parser.parse_args(argv)
    study = study_rows.load(arguments.study)
    # Imported where used: the commands start without what the others need.
    if arguments.command == "measure":
        from ews.pipeline.report import measure, paired_images

        runs = Inputs(arguments.runs)
        found, measured_runs = measure.measure(study, inputs=runs, reported=reported.load(arguments.reported))
        differences = paired_images.compare(study, inputs=runs) if arguments.images else []
        measure.save(
            study,
            found,
            measured_runs,
            out=arguments.out,
            records=arguments.records,
            metrics=arguments.metrics,
            more={arguments.images: paired_images.differences_csv(differences)} if arguments.images else None,
        )
        written = [arguments.study, arguments.out, arguments.records, arguments.metrics]
        if arguments.images:
            written.append(arguments.images)
        sums.write(arguments.out.parent, written)
        if arguments.managed:
            # That the workflow begins this step says that it has seen the ends of those before.
            for entry in study.entries:
                for asked in entry.asked:
                    let_go(runs.place(entry, run_files.result(asked.kind)))
    elif arguments.command == "table":
        from ews.pipeline.report import measurements, paired_images, table

        path = arguments.records or arguments.measurements.with_name("records.json")
        _vouched(arguments, path, *([arguments.images] if arguments.images else []))
        measured = measurements.read(arguments.measurements, study)
        records = table.read_records(path, study)
        differences = paired_images.read(arguments.images, study) if arguments.images else []
        texts = table.tables(
            study, measured, records=records, reported=reported.load(arguments.reported), differences=differences
        )
        table.save(texts, arguments.out_dir)
    else:
        from ews.pipeline.report import figures, measurements

        _vouched(arguments)
        measured = measurements.read(arguments.measurements, study)
        figures.save(
            study,
            measured,
            inputs=Inputs(arguments.runs),
            folder=arguments.out_dir,
            suffix=arguments.format,
            only=arguments.evaluation,
        )


def _vouched(arguments: Namespace, *others: Path) -> None:
    """Hold the files that ``ews report measure`` wrote, and the manifest that it read, to their checksums."""
    measured: Path = arguments.measurements
    sums.verify(measured.parent, [arguments.study, measured, *others], remedy=REMAKE)


def _add(parser: Parser, *names: str) -> None:
    """Add options that several commands share."""
    texts = {
        "study": "the study's manifest, study.json",
        "runs": "folder of all runs, results/runs",
        "measurements": "measurements.csv of the study",
    }
    for name in names:
        if name == "reported":
            parser.add_argument(
                "--reported", type=Reads(), default=reported.DEFAULT, help="published numbers (default: the package's)"
            )
        else:
            parser.add_argument(f"--{name}", type=Reads(), required=True, help=texts[name])


def _add_folder(parser: Parser, *files: str) -> None:
    """Add the folder for the files of these names, in which the study's others lie."""
    parser.add_argument(
        "--out-dir", type=Writes(files=files), required=True, help="folder to write to, results/<study>"
    )
