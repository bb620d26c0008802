"""Runs that were made on another machine, one without Snakemake: checked against the plan, then put in their places."""
