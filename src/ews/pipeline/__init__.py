"""The pipeline over the library: studies, runs and their files, training, evaluation, reports."""
