"""Teachers in params.yaml: the cells from whose networks a component learns."""

from collections.abc import Mapping

from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.core.errors import EwsError, unknown
from ews.methods.method_registry import METHODS
from ews.pipeline.study.methods import components
from ews.pipeline.study.schema import Params
from ews.pipeline.study.sections import teachers


def check_teachers(params: Params, *, where: str) -> None:
    """Check that teachers exist and that no method learns from itself.

    Args:
        params: all parameters.
        where: what to call the file in messages.

    Raises:
        EwsError: an unknown name, or a circle of teachers.
    """
    learns: dict[str, list[str]] = {}
    for name, spec in METHODS.items():
        for role, teacher in teachers(spec, params.methods.of(name)).items():
            at = f"{where}: methods.{name}.teachers.{role}"
            learns.setdefault(name, []).append(teacher.method)
            components(teacher.method, where=f"{at}.method")
            if teacher.architecture not in (None, *params.architectures):
                raise unknown("architecture", teacher.architecture, params.architectures, where=f"{at}.architecture")
            AUGMENTATIONS.find(teacher.augmentation, where=f"{at}.augmentation")
    for name in learns:
        _follow([name], name, learns, where)


def _follow(chain: list[str], component: str, learns: Mapping[str, list[str]], where: str) -> None:
    """Refuse a chain of methods, each learning from the next, in which a component comes back."""
    for method in learns.get(component, []):
        longer = [*chain, method]
        for part in components(method):
            if part.name == chain[0]:
                raise EwsError(
                    f"{where}: methods.{part.name}.teachers: {' learns from '.join(longer)}: no training of this "
                    "circle could begin. Name another method as a teacher."
                )
            # A circle that does not lead back to the first component is refused when it is that one's turn.
            if len(longer) <= len(learns):
                _follow(longer, part.name, learns, where)
