"""The command `ews <verb> ...`: one line per verb; each verb's own --help says what it takes."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ews.core.console import finished
from ews.core.errors import unknown

Main = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        summary: what it does, in a line.
        main: takes the words after the verb; imports what it needs when it is called.
    """

    summary: str
    main: Main


def _data(words: Sequence[str]) -> None:
    from ews.data.data_command import main

    main(words)


def _extra(words: Sequence[str]) -> None:
    from ews.data.convert import main

    main(words)


def _corrupt_generate(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.corrupt_command import generate

    generate(words)


def _corrupt_labels(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.corrupt_command import labels

    labels(words)


def _corrupt_official(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.official import main

    main(words)


def _corrupt_folder(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.folder import main

    main(words)


def _corrupt_npy(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.npy import main

    main(words)


def _corrupt_sheet(words: Sequence[str]) -> None:
    from ews.pipeline.corrupt.corruption_sheet import main

    main(words)


def _perturb(words: Sequence[str]) -> None:
    from ews.pipeline.perturb.perturb_command import main

    main(words)


def _train(words: Sequence[str]) -> None:
    from ews.pipeline.train.train_command import main

    main(words)


def _evaluate(words: Sequence[str]) -> None:
    from ews.pipeline.evaluate.evaluate_command import main

    main(words)


def _study(words: Sequence[str]) -> None:
    from ews.pipeline.study.study_command import main

    main(words)


def _study_tune(words: Sequence[str]) -> None:
    from ews.pipeline.tune.tune_command import main

    main(words)


def _report(words: Sequence[str]) -> None:
    from ews.pipeline.report.report_command import main

    main(words)


def _export(words: Sequence[str]) -> None:
    from ews.pipeline.export import main

    main(words)


def _accept(words: Sequence[str]) -> None:
    from ews.pipeline.accept import main

    main(words)


def _remote_plan(words: Sequence[str]) -> None:
    from ews.pipeline.remote.remote_command import plan

    plan(words)


def _remote_work(words: Sequence[str]) -> None:
    from ews.pipeline.remote.remote_command import work

    work(words)


def _remote_adopt(words: Sequence[str]) -> None:
    from ews.pipeline.remote.adopt.adopt_command import main

    main(words)


def _remote_pack(words: Sequence[str]) -> None:
    from ews.pipeline.remote.pack_command import main

    main(words)


# A verb of two words is looked up before one of its first word alone.
VERBS: dict[str, Verb] = {
    "study": Verb("what params.yaml plans: studies, runs, their parameters", _study),
    "study tune": Verb("choose a study's values by its trials on validation images", _study_tune),
    "data prepare": Verb("download a dataset and bring it into the one format", _data),
    "data extra": Verb("convert a file with extra, pseudo-labelled images", _extra),
    "corrupt folder": Verb("corrupt a folder of pictures of any size", _corrupt_folder),
    "corrupt npy": Verb("corrupt an .npy of images", _corrupt_npy),
    "corrupt generate": Verb("corrupt a dataset's test images, 5 severities in blocks", _corrupt_generate),
    "corrupt labels": Verb("write the labels of a dataset's corrupted sets", _corrupt_labels),
    "corrupt official": Verb("take a dataset's corrupted set from the published archive", _corrupt_official),
    "corrupt sheet": Verb("draw every corruption at every severity", _corrupt_sheet),
    "perturb": Verb("make the sequences of ImageNet-P for an .npy of images", _perturb),
    "train": Verb("train one cell; killed at any moment, it resumes", _train),
    "evaluate": Verb("measure a finished run", _evaluate),
    "report": Verb("numbers, tables and figures of a study", _report),
    "export": Verb("write a trained network for other programs", _export),
    "accept": Verb("let finished runs count for the present code, after a check that it trains the same", _accept),
    "remote plan": Verb("write what a study asks for, for a machine without Snakemake", _remote_plan),
    "remote work": Verb("train and measure there what such a plan lists", _remote_work),
    "remote pack": Verb("pack a study's records without its weights, small enough for Git", _remote_pack),
    "remote adopt": Verb("bring runs home that were made elsewhere", _remote_adopt),
}


def main(words: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        words: the command line after `ews`; None: the process's own.
    """
    words = list(sys.argv[1:] if words is None else words)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return
    for count in (2, 1):
        verb = VERBS.get(" ".join(words[:count]))
        if verb is not None:
            verb.main(words[count:])
            return
    group = {name: verb for name, verb in VERBS.items() if name.split()[0] == words[0]}
    if group and words[1:2] in ([], ["-h"], ["--help"]):
        print(_help(group))
        return
    both = " ".join(words[:2])
    # A slip in the first of two words; of a single one, what follows says nothing about it.
    close = group or get_close_matches(both, VERBS, n=1, cutoff=0.8)
    raise unknown("command", both if close else words[0], VERBS)


def _help(verbs: dict[str, Verb] = VERBS) -> str:
    width = max(map(len, verbs))
    lines = [f"  ews {name:{width}}  {verb.summary}" for name, verb in verbs.items()]
    return "\n".join([*lines, "", "`ews <command> --help` says what a command takes."])


def entry() -> None:
    """Run the process's command; a mistake that a person can mend ends it with one message and status 1."""
    finished(main)
