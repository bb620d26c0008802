"""Measuring trained networks; each evaluation is a module of its own behind :class:`ews.evaluate.base.Evaluator`."""

REGISTRY: dict[str, str] = {
    "clean": "ews.evaluate.clean:EVALUATOR",
    "corruption": "ews.evaluate.corruption:EVALUATOR",
    "perturbation": "ews.evaluate.perturbation:EVALUATOR",
    "adversarial": "ews.evaluate.adversarial:EVALUATOR",
    "adaptive": "ews.evaluate.adaptive:EVALUATOR",
}
