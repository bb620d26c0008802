"""The evaluation `filters`."""
