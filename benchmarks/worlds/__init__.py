"""Worlds that only benchmarks and tests use; importing this package registers those that can be written as a log."""

from rewriter.simulation.worlds import WORLDS
from worlds.media import media_world

WORLDS["media"] = media_world
