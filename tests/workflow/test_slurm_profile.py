"""The SLURM profile: found by name, plans from the top folder, and names only rules that exist."""

import re

import yaml
from helpers.workflow import ROOT, Project, jobs

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))


def test_the_profile_is_found_where_snakemake_looks() -> None:
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").resolve() == (ROOT / "profiles/slurm").resolve()


def test_it_plans_from_the_top_folder(project: Project) -> None:
    planned = jobs(project.snakemake("-n", "--profile", "slurm").stdout)
    assert planned["train_cell"] + planned["train_searching_cell"] == 9


def test_it_names_rules_that_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", text, flags=re.MULTILINE))
    assert set(PROFILE["set-resources"]) <= rules
    assert {"train_cell", "train_searching_cell"} <= set(PROFILE["set-resources"])


def test_the_default_profile_leaves_a_sites_profile_alone() -> None:
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    assert not {"resources", "default-resources", "set-resources", "jobs", "cores", "executor"} & set(default)
