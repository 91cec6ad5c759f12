"""Outcomes, replay and closed loops: what a rewriter is worth."""
