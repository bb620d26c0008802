"""A study's trainings and evaluations on a machine without Snakemake; :mod:`ews.adopt` brings their results home."""
