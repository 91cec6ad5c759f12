"""What is known of the skills of Open Voice OS. The plug-in reads it where nothing that learns is installed."""

from typing import Final

REFUSALS: Final = ("ovos-skill-fallback-unknown.openvoiceos", "skill-ovos-fallback-unknown.openvoiceos")
"""Fallback skills that only say that nothing was understood."""
