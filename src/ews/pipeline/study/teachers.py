"""Teachers in params.yaml: the cells from whose networks a component learns."""

from ews.core.errors import EwsError, unknown
from ews.core.values import Section
from ews.pipeline.study.method_schema import Teacher
from ews.pipeline.study.methods import components
from ews.pipeline.study.schema import Augmentations, Params


def roles(section: Section) -> dict[str, Teacher]:
    """Return the teachers that a component's parameters name, by their role; most name none."""
    teachers = getattr(section, "teachers", None)
    return {} if teachers is None else {role: getattr(teachers, role) for role in type(teachers).model_fields}


def check(params: Params, *, where: str) -> None:
    """Check that teachers exist and that no method learns from itself.

    Args:
        params: all parameters.
        where: what to call the file in messages.

    Raises:
        EwsError: an unknown name, or a circle of teachers.
    """
    learns: dict[str, list[str]] = {}
    for name in type(params.methods).model_fields:
        for role, teacher in roles(getattr(params.methods, name)).items():
            at = f"{where}: methods.{name}.teachers.{role}"
            learns.setdefault(name, []).append(teacher.method)
            components(teacher.method, where=f"{at}.method")
            if teacher.architecture not in (None, *params.architectures):
                raise unknown("architecture", teacher.architecture, params.architectures, where=f"{at}.architecture")
            if teacher.augmentation not in Augmentations.model_fields:
                raise unknown(
                    "augmentation", teacher.augmentation, Augmentations.model_fields, where=f"{at}.augmentation"
                )
    for name in learns:
        _follow([name], name, learns, where)


def _follow(chain: list[str], component: str, learns: dict[str, list[str]], where: str) -> None:
    """Refuse a chain of methods, each learning from the next, in which a component comes back."""
    for method in learns.get(component, []):
        longer = [*chain, method]
        for part in components(method):
            if part == chain[0]:
                raise EwsError(
                    f"{where}: methods.{part}.teachers: {' learns from '.join(longer)}: no training of this circle "
                    "could begin. Name another method as a teacher."
                )
            # A circle that does not lead back to the first component is refused when it is that one's turn.
            if len(longer) <= len(learns):
                _follow(longer, part, learns, where)
