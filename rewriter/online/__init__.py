"""Reads the artefact and answers requests."""
