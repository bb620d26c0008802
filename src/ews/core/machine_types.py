"""What records say about a machine; torch-free, for those that only read records (:mod:`ews.core.machine` fills it)."""

from ews.core.documents import Document


class Git(Document):
    """A revision, 40 hex digits, and whether the package differed from it."""

    revision: str
    dirty: bool


class Hardware(Document):
    """What computed: ``device`` is cpu or cuda; without a GPU ``gpu`` is None."""

    device: str
    cpu: str
    gpu: str | None
    threads: int
