"""Whether classes are ImageNet's own: numbers of networks that know these 1,000 say nothing of other classes."""

import hashlib
from collections.abc import Iterable

# Of the sorted WordNet ids of ILSVRC 2012, "n01440764" to "n15075141", one a line: the names of its class folders.
WNIDS_SHA256 = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"


def are_imagenets(classes: Iterable[str]) -> bool:
    """Say whether classes are the 1,000 of ImageNet (ILSVRC 2012) by their WordNet ids, in any order, and no others."""
    return hashlib.sha256("\n".join(sorted(classes)).encode()).hexdigest() == WNIDS_SHA256
