"""Hooks of a runner: what is checked, kept or written while it trains or tests."""
