"""The SLURM profile: found by name, plans from the top folder, and names only rules that exist."""

import re

import yaml
from helpers.workflow import ROOT, Project, jobs

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
RULES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
# rule -> its text
BODIES = dict(re.findall(r"^rule (\w+)(.*?)(?=^\S|\Z)", RULES, flags=re.MULTILINE | re.DOTALL))


def test_the_profile_is_found_where_snakemake_looks() -> None:
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").resolve() == (ROOT / "profiles/slurm").resolve()


def test_it_plans_from_the_top_folder(project: Project) -> None:
    planned = jobs(project.snakemake("-n", "--profile", "slurm").stdout)
    assert planned["train_cell"] == 9


def test_it_submits_and_submits_again() -> None:
    assert PROFILE["executor"] == "slurm"
    assert PROFILE["jobs"] > 1
    # The one mechanism that starts a failed job again; SLURM's own beside it could start one twice.
    assert PROFILE["retries"] >= 1
    assert not any("requeue" in key for key in PROFILE)
    assert {"mem_mb", "runtime", "cpus_per_task"} <= set(PROFILE["default-resources"])


def test_it_names_rules_that_exist() -> None:
    assert set(PROFILE["set-resources"]) <= set(BODIES)


def test_every_rule_on_a_gpu_has_its_resources() -> None:
    on_a_gpu = {rule for rule, body in BODIES.items() if "gpu=" in body}
    assert on_a_gpu == {"train_cell", "evaluate_cell"}
    for rule in on_a_gpu:
        assert {"gpu", "cpus_per_task", "mem_mb"} <= set(PROFILE["set-resources"][rule]), rule
    # How long an evaluation may take depends on its kind, which the rule knows.
    assert "runtime" in PROFILE["set-resources"]["train_cell"]
    assert "runtime" not in PROFILE["set-resources"]["evaluate_cell"]


def test_only_collecting_targets_run_where_one_types() -> None:
    local = re.search(r"^localrules:\n((?: +\w+,\n)+)", RULES, flags=re.MULTILINE)
    assert local is not None
    names = set(re.findall(r"\w+", local[1])) & set(BODIES)
    assert {"data", "train", "tables"} <= names
    assert not [name for name in names if "shell:" in BODIES[name]]


def test_the_default_profile_leaves_a_sites_profile_alone() -> None:
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    assert not {"resources", "default-resources", "set-resources", "jobs", "cores", "executor"} & set(default)
