"""The evaluation `adaptive`."""
