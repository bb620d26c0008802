"""The evaluation `validation`."""
