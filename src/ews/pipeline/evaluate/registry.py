"""Kinds of evaluation, in the order in which tables show them."""

from ews.core.registry import Registry
from ews.pipeline.evaluate.adaptive.adaptive_spec import ADAPTIVE
from ews.pipeline.evaluate.adversarial.adversarial_spec import ADVERSARIAL
from ews.pipeline.evaluate.clean.clean_spec import CLEAN
from ews.pipeline.evaluate.corruption.corruption_spec import CORRUPTION
from ews.pipeline.evaluate.perturbation.perturbation_spec import PERTURBATION
from ews.pipeline.evaluate.spec import EvaluationSpec

# Each kind has options and findings of its own, which only its own functions take.
EVALUATIONS: Registry[EvaluationSpec] = Registry(  # type: ignore[type-arg]
    "evaluation", CLEAN, CORRUPTION, PERTURBATION, ADVERSARIAL, ADAPTIVE
)
