# What params.yaml plans, and how rules ask for it. What they ask for is worked out in src/ews/pipeline/workflow/.
import os
import sys

from snakemake.logging import logger

# The package beside this workflow is the one that runs, installed or not, here and in the jobs.
SOURCE = os.path.abspath(os.path.join(str(workflow.current_basedir), "..", "..", "src"))
sys.path.insert(0, SOURCE)
os.environ.update(PYTHONPATH=os.pathsep.join([SOURCE, *filter(None, [os.getenv("PYTHONPATH")])]))


def refuse(message):
    """End with a message alone: what Snakemake would put around it speaks of its own files, not of the mistake."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(1)


try:
    from ews.core.errors import EwsError
    from ews.core.redaction import redacted
    from ews.pipeline import commands
    from ews.pipeline.artifacts import run_files
    from ews.pipeline.workflow import data, paths, run_rules, studies, target_hints
    from ews.pipeline.workflow.workflow_plan import Plan
except ImportError as error:
    refuse(
        f"A package is missing here ({error}). Run `python3 bootstrap.py setup` and activate .venv, or see environment.yml."
    )

ENVIRONMENT = "../envs/ews.yaml"
RUNS = paths.RUNS

try:
    PLAN = Plan.of(config)
except EwsError as error:
    refuse(redacted(error))


def hint(target):
    """Say what is meant by a target that no rule makes."""
    names = [rule.name for rule in workflow.rules if not rule.output]
    return target_hints.hint(target, targets=names, studies=PLAN.studies, datasets=PLAN.params.datasets)


target_hints.install(logger, hint)

# Where archives are looked for is no property of a result, so it is no rule's parameter.
if PLAN.params.mirror:
    os.environ.setdefault("EWS_MIRROR", PLAN.params.mirror)


def planned(function, *names, **constants):
    """Return a function of wildcards for a rule to call, which calls `function` with the plan and the values of these."""

    def of(wildcards):
        try:
            return function(PLAN, *(getattr(wildcards, name) for name in names), **constants)
        except EwsError as error:
            refuse(redacted(error))

    return of


def extra_source(wildcards):
    """No input, but a check: where the file is missing a run stops before its first job, not at this one.

    As an input the file would be demanded of dry runs too, which plan on machines that do not have it.
    """
    made = os.path.exists(f"data/{wildcards.dataset}-extra/{paths.EXTRA}")
    if workflow.executor_plugin and not workflow.dryrun and not made:
        planned(data.require_extra, "dataset")(wildcards)
    return []


def evaluation_threads(wildcards):
    """One network uses one core; where many images are made on the way, their makers use all."""
    many = planned(run_rules.makes_images, "run", "where", "kind")
    return workflow.cores or 1 if many(wildcards) else 1
