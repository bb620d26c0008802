"""The kinds of evaluation, in the order in which tables and params.yaml name them."""

from typing import Any

from ews.core.registry import Registry
from ews.pipeline.evaluate.adaptive.adaptive_spec import SPEC as ADAPTIVE
from ews.pipeline.evaluate.adversarial.adversarial_spec import SPEC as ADVERSARIAL
from ews.pipeline.evaluate.clean.clean_spec import SPEC as CLEAN
from ews.pipeline.evaluate.corruption.corruption_spec import SPEC as CORRUPTION
from ews.pipeline.evaluate.evaluation_specs import EvaluationSpec
from ews.pipeline.evaluate.filters.filters_spec import SPEC as FILTERS
from ews.pipeline.evaluate.mimicry.mimicry_spec import SPEC as MIMICRY
from ews.pipeline.evaluate.perturbation.perturbation_spec import SPEC as PERTURBATION
from ews.pipeline.evaluate.subnets.subnets_spec import SPEC as SUBNETS
from ews.pipeline.evaluate.validation.validation_spec import SPEC as VALIDATION

EVALUATIONS: Registry[EvaluationSpec[Any, Any, Any]] = Registry(
    "evaluation",
    CLEAN,
    CORRUPTION,
    PERTURBATION,
    ADVERSARIAL,
    ADAPTIVE,
    MIMICRY,
    FILTERS,
    VALIDATION,
    SUBNETS,
)
