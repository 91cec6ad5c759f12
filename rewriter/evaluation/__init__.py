"""Measures rewriters: outcomes, replay of logs, simulated loops, experiments, charts and reports."""
