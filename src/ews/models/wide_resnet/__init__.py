"""Wide residual networks."""
