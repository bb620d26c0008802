"""Build a method from its components, and compute one batch's gradient with it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from ews.core.errors import EwsError
from ews.methods.component import (
    Batch,
    Component,
    Context,
    Data,
    Extra,
    Gradients,
    Metrics,
    Objective,
    Pass,
    Table,
    Wrapper,
    error,
)
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters
from ews.methods.objective import CrossEntropy


def compose(components: Sequence[MethodParameters], context: Context) -> "Method":
    """Build a method.

    Args:
        components: the parameters of each component, in the order in which modifiers change the network; none:
            vanilla.
        context: what components are built from; modifiers change its network.

    Raises:
        EwsError: a component twice, more than one objective, or what a component refuses.
    """
    built: list[Component] = [METHODS.of(one).implementation()(context, one) for one in components]
    names = [component.name for component in built]
    where = f"method {'+'.join(names)}"
    if len(set(names)) < len(names):
        raise EwsError(f"{where}: a component stands twice; name each once.")
    objectives = [component.name for component in built if isinstance(component, Objective)]
    if len(objectives) > 1:
        raise EwsError(f"{where}: {' and '.join(objectives)} are both objectives; a method has at most one.")
    return Method(context, built)


class Method:
    """A composition of components: what one batch adds to the gradients, and the state it carries.

    The order within an iteration: the objective prepares the batch; extras begin (EWS updates its
    controller here, before the weights change, as Algorithm 1 has it), then wrappers (AWP finds its
    perturbation); then, inside all wrappers, the full pass goes backward and is freed, and each extra
    adds its term.

    Attributes:
        mixture: how the trainer mixes the dataset's extra images into batches; None: not at all.
    """

    def __init__(self, context: Context, components: list[Component]) -> None:
        objectives = [component for component in components if isinstance(component, Objective)]
        self.objective = objectives[0] if objectives else CrossEntropy(context)
        self.wrappers = [component for component in components if isinstance(component, Wrapper)]
        self.extras = [component for component in components if isinstance(component, Extra)]
        self.mixture = next((component.mixture for component in components if isinstance(component, Data)), None)
        self.components = components if objectives else [self.objective, *components]

    def gradients(self, batch: Batch) -> Metrics:
        """Accumulate the gradient of a batch into ``.grad`` and return detached scalars, without a host sync.

        Returns:
            ``loss`` (the objective's), ``error`` (top-1 of the full network in this pass, in [0, 1])
            and each component's own metrics.
        """
        batch = self.objective.prepare(batch)
        for extra in self.extras:
            extra.begin(batch, self.objective)
        for wrapper in self.wrappers:
            wrapper.begin(batch, self.objective)
        compute: Gradients = self._plain
        for wrapper in self.wrappers:
            compute = partial(wrapper, compute)
        return compute(batch)

    def _plain(self, batch: Batch) -> Metrics:
        full = self.objective(batch)
        full.loss.backward()
        # Same gradient as one backward of the sum, without both graphs in memory at a time.
        full = Pass(loss=full.loss.detach(), targets=full.targets, metrics=full.metrics)
        last = full.targets[-1]
        metrics: dict[str, Tensor] = {"loss": full.loss, "error": error(last.logits[0], last.labels), **full.metrics}
        for extra in self.extras:
            metrics |= extra.gradients(batch, full)
        return metrics

    def parameters(self) -> Iterable[nn.Parameter]:
        """Yield the components' own parameters that the network's optimiser trains."""
        for component in self.components:
            yield from component.parameters()

    def begin_epoch(self, epoch: int) -> None:
        """Restart every component's random streams."""
        for component in self.components:
            component.begin_epoch(epoch)

    def end_epoch(self) -> None:
        """Let every component leave the network as it is to be measured."""
        for component in self.components:
            component.end_epoch()

    def state_dict(self) -> dict[str, Any]:
        """Return the components' states by name."""
        return {component.name: component.state_dict() for component in self.components}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the components' states."""
        for component in self.components:
            component.load_state_dict(state[component.name])

    def tables(self) -> dict[str, Table]:
        """Return the components' logs by file name."""
        return {name: table for component in self.components for name, table in component.tables().items()}
