"""Which parameter of a method a study sweeps, and the rows that differ in nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ews.pipeline.report.study_rows import Label, Manifest
from ews.pipeline.study.naming import canonical, reads_as, spell

# The value of a categorical parameter that the others are also compared with: what a search buys over none [choice].
REFERENCES = {"ews.search": "random"}
Value = Any


@dataclass(frozen=True)
class Line:
    """Rows that differ in the swept parameter alone.

    Attributes:
        name: what tells the line from the others of the study: augmentation, or method, or both.
        points: value and row, by ascending value where it is a number, otherwise in the study's order.
        baseline: vanilla in the same circumstances, or None.
    """

    name: str
    points: tuple[tuple[Value, Label], ...]
    baseline: Label | None

    @property
    def place(self) -> tuple[str, str]:
        """The data set and the network, which decide what scale errors have."""
        return self.points[0][1].group[:2]


@dataclass(frozen=True)
class Sweep:
    """A study's sweep: ``parameter`` as ``ews.width``, its values in order, and the lines along it."""

    parameter: str
    values: tuple[Value, ...]
    lines: tuple[Line, ...]

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return _numeric(self.values)

    @property
    def reference(self) -> str | None:
        """The value that the others are to be compared with, if this parameter has one and the study trains it."""
        value = REFERENCES.get(self.parameter)
        return value if value in self.values else None


def find(manifest: Manifest) -> Sweep | None:
    """Return what a study sweeps of its methods; of several parameters the one with most values; None if nothing."""
    parameters = {label: _parameters(manifest, label) for label in manifest.labels}
    varying: dict[str, int] = {}
    for labels in _alike(manifest, {label: {} for label in parameters}):
        for key in parameters[labels[0]]:
            varying[key] = max(varying.get(key, 0), len({spell(parameters[label][key]) for label in labels}))
    # Rows of variants are named by these and differ in several values at once: no axis to draw along.
    for path in (path for values in manifest.variants.values() for path in values):
        varying.pop(_parameter(path), None)
    parameter = max(varying, key=lambda key: varying[key], default="")
    if varying.get(parameter, 0) < 2:
        return None
    rests = {
        label: {key: value for key, value in own.items() if key != parameter}
        for label, own in parameters.items()
        if parameter in own
    }
    values = list({spell(parameters[label][parameter]): parameters[label][parameter] for label in rests}.values())
    if _numeric(values):
        values.sort()
    ranks = {spell(value): place for place, value in enumerate(values)}
    lines = []
    for labels in _alike(manifest, rests):
        points = [(parameters[label][parameter], label) for label in labels]
        lines.append(tuple(sorted(points, key=lambda point: ranks[spell(point[0])])))
    return Sweep(
        parameter,
        tuple(values),
        tuple(
            Line(name, points, manifest.baseline(points[0][1]))
            for name, points in zip(_names(parameter, lines), lines, strict=True)
        ),
    )


def _alike(manifest: Manifest, more: Mapping[Label, Mapping[str, Value]]) -> list[list[Label]]:
    """Split rows into those of the same method in the same circumstances, and alike in ``more``."""
    found: dict[str, list[Label]] = {}
    for label, rest in more.items():
        first = manifest.of(label)[0]
        found.setdefault(canonical([first.cell.method.name, first.circumstances, rest]), []).append(label)
    return list(found.values())


def _numeric(values: Iterable[Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _parameters(manifest: Manifest, label: Label) -> Mapping[str, Value]:
    """Return the parameters of a row's method as ``ews.width``: value."""
    cell = manifest.of(label)[0].cell
    found: dict[str, Value] = {
        f"{component.name}.{key}": value
        for component in cell.method.components
        for key, value in component.parameters.model_dump(mode="json").items()
    }
    for role, teacher in cell.teachers.items():
        found[f"teachers.{role}"] = f"{teacher.run}, {teacher.weights}"
    return found


def _parameter(path: str) -> str:
    """Return what a key path below `methods` is called here."""
    component, *keys = path.split(".")[1:]
    return f"teachers.{keys[1]}" if keys[:1] == ["teachers"] else f"{component}.{path.rpartition('.')[2]}"


def _names_value(part: str, key: str, value: Value) -> bool:
    """Tell whether a part of a row's name says the value of a parameter."""
    name, _, text = part.partition("=")
    return name == key and reads_as(text, value)


def _names(parameter: str, lines: Sequence[Sequence[tuple[Value, Label]]]) -> list[str]:
    """Name each line by the augmentation and the rest of the method, each where it varies; by the method if neither."""
    key = parameter.rpartition(".")[2]
    rests = []
    for points in lines:
        value, label = points[0]
        parts = [part.strip() for part in label.method.split(",")]
        rests.append(", ".join(part for part in parts if not _names_value(part, key, value)))
    augmentations = [points[0][1].augmentation for points in lines]
    several = len(set(augmentations)) > 1
    return [
        ", ".join([*([augmentation] if several else []), *([rest] if len(set(rests)) > 1 or not several else [])])
        for augmentation, rest in zip(augmentations, rests, strict=True)
    ]
