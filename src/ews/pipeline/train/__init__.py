"""Train one cell: ``ews train``; killed at any moment, it resumes from its last whole epoch."""
