"""Measuring trained networks; each evaluation is a module of its own (:mod:`ews.pipeline.evaluate.base`)."""

REGISTRY: dict[str, str] = {
    "clean": "ews.pipeline.evaluate.clean:EVALUATOR",
    "corruption": "ews.pipeline.evaluate.corruption:EVALUATOR",
    "perturbation": "ews.pipeline.evaluate.perturbation:EVALUATOR",
    "adversarial": "ews.pipeline.evaluate.adversarial:EVALUATOR",
    "adaptive": "ews.pipeline.evaluate.adaptive:EVALUATOR",
}
