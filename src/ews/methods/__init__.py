"""Training methods as compositions of components, joined by ``+`` in the order of the registry.

A component has one of five kinds (:mod:`ews.methods.component`):

- ``modifier`` changes the network once, when it is built (dropout);
- ``objective``, at most one, says what loss the full network minimises; without one it is the
  augmentation's cross-entropy (:mod:`ews.methods.objective`; at, trades);
- ``wrapper`` computes the gradient differently, e.g. at other weights (awp, damp, sam, asam), at most one of these;
- ``data`` says what batches are made of (rst);
- ``extra`` adds a term, with a backward pass of its own, after the full network's (ews).

A new method is one module with one component and one line here. ``vanilla`` is the composition of
nothing. This module imports no component, so that the code fingerprint of a cell covers only those
that the cell names.
"""

REGISTRY: dict[str, str] = {
    "dropout": "ews.methods.dropout.dropout:Dropout",
    "at": "ews.methods.at.at:At",
    "trades": "ews.methods.trades.trades:Trades",
    "mixacm": "ews.methods.mixacm.mixacm:Mixacm",
    "awnet": "ews.methods.awnet.awnet:Awnet",
    "awp": "ews.methods.awp.awp:Awp",
    "damp": "ews.methods.damp.damp:Damp",
    "sam": "ews.methods.sam.sam:Sam",
    "asam": "ews.methods.asam.asam:Asam",
    "rst": "ews.methods.rst.rst:Rst",
    "ews": "ews.methods.ews.ews:Ews",
}
