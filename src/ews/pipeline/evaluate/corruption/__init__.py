"""The evaluation `corruption`."""
