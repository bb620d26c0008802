"""MixACM."""
