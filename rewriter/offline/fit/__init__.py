"""Fit the parts of the online layer: encoder, ranker, thresholds, ambiguity."""
