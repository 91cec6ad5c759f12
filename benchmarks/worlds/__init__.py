"""Worlds that only benchmarks and tests use.

`media` is a home of music and films in which short requests depend on context (`goals` reads its goals, `routines` says who is
where at which hour). `recorded` plays back recordings of speech. `changing` is a home whose meanings change from day to day.
`attack` adds turns of adversarial accounts, and `typing_errors` mistypes on a keyboard.

Importing this package adds `media` to the registry `rewriter.simulation.worlds.WORLDS`, so that `rewriter.simulate("media", out)`
writes its log. A world of your own is added the same way.
"""

from rewriter.simulation.worlds import WORLDS
from worlds.media import media_world

WORLDS["media"] = media_world
