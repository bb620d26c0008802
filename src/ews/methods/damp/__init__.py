"""DAMP: multiplicative noise on the weights."""
