# What params.yaml plans, and how rules ask for it. What they ask for is worked out in src/ews/pipeline/workflow/.
import getpass
import os
import sys

from snakemake.logging import logger

# The package beside this workflow is the one that runs, installed or not, here and in the jobs.
SOURCE = os.path.abspath(os.path.join(str(workflow.current_basedir), "..", "..", "src"))
sys.path.insert(0, SOURCE)
os.environ.update(PYTHONPATH=os.pathsep.join([SOURCE, *filter(None, [os.getenv("PYTHONPATH")])]))

# Snakemake asks for the user's name, and a container's user may have none.
try:
    getpass.getuser()
except (KeyError, OSError):
    os.environ.update(LOGNAME=str(os.getuid()))


def refuse(message):
    """End with a message alone: what Snakemake would put around it speaks of its own files, not of the mistake."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(1)


try:
    from ews.core.errors import EwsError
    from ews.core.redaction import redacted
    from ews.pipeline import commands
    from ews.pipeline.artifacts import run_files
    from ews.pipeline.study.params import WHERE
    from ews.pipeline.study.settings import Settings
    from ews.pipeline.workflow import data, paths, run_rules, studies, target_hints
    from ews.pipeline.workflow.workflow_plan import Plan
except ImportError as error:
    refuse(
        f"A package is missing here ({error}). Run `python3 bootstrap.py setup` and activate .venv, or see environment.yml."
    )

ENVIRONMENT = "../envs/ews.yaml"
RUNS = paths.RUNS

# Read here, strictly and with nothing evaluated, not by the directive `configfile:`; over it lies, in Snakemake's order, what
# the command line names (--configfile, then --config), which Snakemake hands to jobs on other machines too.
GIVEN = Settings(
    configfiles=tuple(workflow.config_settings.configfiles),
    entries=tuple(workflow.config_settings.config_args or ()),
    replace=workflow.config_settings.replace_workflow_config,
)
if workflow.modifier.is_module and workflow.modifier.skip_configfile:
    refuse(
        "`config:` of a module is not read here: put the parameters into params.yaml in the folder that you work in."
    )
try:
    CONTENT = GIVEN.read()
    with CONTENT.located(WHERE):
        PLAN = Plan.of(CONTENT.value)
except EwsError as error:
    refuse(redacted(error))
# Of this workflow alone: as a module of another one it leaves that one's as they are.
config = CONTENT.value
if not GIVEN.replace:
    workflow.configfiles.insert(0, str(GIVEN.params))  # for reports
# A step that needs settings reads what was read here: params.yaml, or, where something lies over it, a file of the whole.
os.environ[paths.SETTINGS] = str(GIVEN.file(CONTENT))


def hint(target):
    """Say what is meant by a target that no rule makes."""
    names = [rule.name for rule in workflow.rules if not rule.output]
    files = [str(file) for rule in workflow.rules for file in rule.output]
    return target_hints.hint(
        target, targets=names, studies=PLAN.params.studies, datasets=PLAN.params.datasets, files=files
    )


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


def corrupted_sets(wildcards):
    """The stored images of an evaluation; newer ones do not repeat that of a run whose weights are not here."""
    found = planned(run_rules.corrupted, "run", "where", "kind")(wildcards)
    return [ancient(file) for file in found] if run_rules.bare(wildcards.run) else found


def evaluation_threads(wildcards):
    """One network uses one core; where many images are made on the way, their makers use all."""
    many = planned(run_rules.makes_images, "run", "where", "kind")
    return workflow.cores or 1 if many(wildcards) else 1
