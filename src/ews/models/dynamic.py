"""Parts that make any network's filters depend on its input, by name; see :func:`ews.models.build`.

An entry is a function of the network, which it changes, its settings by keyword, and ``generator``, the source of its
own weights. What it adds is among the network's parameters and buffers afterwards.
"""

REGISTRY: dict[str, str] = {
    "awnet": "ews.models.awnet.awnet:awnet",
}
