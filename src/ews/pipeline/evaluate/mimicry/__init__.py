"""The evaluation `mimicry`."""
