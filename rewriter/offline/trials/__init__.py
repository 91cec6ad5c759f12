"""Trials of rules: what became of requests that a rule was applied to, or withheld from."""
