"""Measuring trained networks; each evaluation is a module of its own (:mod:`ews.pipeline.evaluate.evaluation`)."""
