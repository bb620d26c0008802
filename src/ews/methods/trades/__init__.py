"""TRADES."""
