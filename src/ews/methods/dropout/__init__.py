"""Channel dropout."""
