"""Training methods as compositions of components, joined by ``+`` in the order of :mod:`ews.methods.method_registry`.

A component has one of five kinds (:mod:`ews.methods.component`):

- ``modifier`` changes the network once, when it is built (dropout);
- ``objective``, at most one, says what loss the full network minimises; without one it is the
  augmentation's cross-entropy (:mod:`ews.methods.objective`; at, trades);
- ``wrapper`` computes the gradient differently, e.g. at other weights (awp, damp, sam, asam), at most one of these;
- ``data`` says what batches are made of (rst);
- ``extra`` adds a term, with a backward pass of its own, after the full network's (ews).

A component is a folder: what it says about itself (``*_spec.py``, without torch), its code and its page. ``vanilla`` is
the composition of nothing.
"""
