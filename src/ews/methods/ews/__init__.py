"""Enhancing weak subnets, the paper's method."""
