"""Self-distillation."""
