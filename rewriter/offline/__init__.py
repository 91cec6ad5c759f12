"""Reads logs, mines rephrases, solves the chain, launches rules, writes the artefact."""
