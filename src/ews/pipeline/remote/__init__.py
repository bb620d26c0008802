"""A study on a machine without Snakemake; :mod:`ews.pipeline.remote.adopt` brings its results home."""
