# Where Snakemake itself (9.27) has to be helped: runs with commas on a cluster, inputs that no result depends on.

# --- a job on another machine
# Snakemake names it `rule:wildcard=value,...` and cuts values at their commas (snakemake/snakemake#2366); folders of runs
# have commas. What was cut off goes back to the wildcard before it, before the job's own DAG is built. Where Snakemake
# does not cut, this changes nothing.


def rejoin(target):
    names, whole = workflow.get_rule(target.rulename).wildcard_names, {}
    for key, value in target.wildcards_dict.items():
        if key in names:
            name, whole[key] = key, value
        else:
            whole[name] += f",{key}={value}"
    target.wildcards_dict.clear()
    target.wildcards_dict.update(whole)


def build_dag(build=workflow._build_dag):
    for target in workflow.dag_settings.target_jobs:
        rejoin(target)
    build()


workflow._build_dag = build_dag


# --- what is no reason to measure again
# Whether corrupted images were read from disk or made while they were measured changes no result
# (`evaluation.corruption.stored`), so the sets do not count among the inputs that an evaluation is remembered with. What
# they are is among its parameters: seed, constants and code, or the published archive.


def remembered(job, inputs):
    stored = set(job.input.get("corrupted", [])) if job.rule.name == "evaluate_corruption" else set()
    return [path for path in inputs if path not in stored]


def build_remembering(build=workflow._build_dag):
    inputs = workflow.persistence._input
    workflow.persistence._input = lambda job: remembered(job, inputs(job))
    build()


workflow._build_dag = build_remembering
