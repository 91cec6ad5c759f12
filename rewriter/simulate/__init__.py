"""Worlds with known truth: users, speech channels, assistants."""
