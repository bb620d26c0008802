"""Subnets of a network: which exist, how one is chosen, and how the full network teaches it."""
