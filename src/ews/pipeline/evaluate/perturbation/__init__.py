"""The evaluation `perturbation`."""
