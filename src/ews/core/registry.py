"""Registries: entries by name, in an order that may mean something, and one message for a name that is none."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

from ews.core.errors import unknown


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """The entry's name, as params.yaml spells it."""
        ...


class Described(Named, Protocol):
    """What says about a component, among other things, of which type its parameters are."""

    @property
    def parameters(self) -> type[Any]:
        """The type of the parameters; each entry of a registry has another one."""
        ...


E = TypeVar("E", bound=Named)
D = TypeVar("D", bound=Described)


class Registry(Mapping[str, E]):
    """Entries by their names, in the order in which they were given."""

    def __init__(self, kind: str, *entries: E) -> None:
        """Take the entries.

        Args:
            kind: what an entry is, for messages, e.g. ``"method"``.
            entries: with different names.

        Raises:
            ValueError: two entries have one name.
        """
        self.kind = kind
        self.entries = {entry.name: entry for entry in entries}
        if len(self.entries) < len(entries):
            raise ValueError(f"two entries of the registry of {kind}s have the same name")

    def find(self, name: str, *, where: str = "") -> E:
        """Return the entry of that name.

        Args:
            name: as params.yaml spells it.
            where: key path, cell or file in which the name stands, for the message.

        Raises:
            EwsError: there is none; the message lists the valid names.
        """
        if name not in self.entries:
            raise unknown(self.kind, name, self.entries, where=where)
        return self.entries[name]

    def __getitem__(self, name: str) -> E:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class DescribedRegistry(Registry[D]):
    """A registry whose entries are found by their parameters as well; subclasses give :meth:`by_type` its type."""

    def by_type(self, parameters: object) -> D:
        """Return the entry that takes parameters of exactly this type.

        Raises:
            EwsError: none does.
        """
        for entry in self.values():
            if entry.parameters is type(parameters):
                return entry
        names = [entry.parameters.__name__ for entry in self.values()]
        raise unknown(f"type of {self.kind} parameters", type(parameters).__name__, names)
