"""The evaluation `adversarial`."""
