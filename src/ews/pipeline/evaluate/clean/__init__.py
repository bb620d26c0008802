"""The evaluation `clean`."""
