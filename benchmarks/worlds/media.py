"""`media_world`: users with screens, rooms, favourites and routines, whose brief phrases get their meaning from the situation."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rewriter.simulation.assistants import Guessing, Misrouting, PhraseAssistant
from rewriter.simulation.textchannel import TextChannel
from rewriter.simulation.users import Behaviour, User, people, shares_said
from rewriter.simulation.world import HOUR_MS, Around, Before, Withheld, World, split_of, spread
from rewriter.simulation.worlds import GUESSED, MISROUTED, REFUSED, Goals, faults
from worlds.goals import MediaGoal, read_goals
from worlds.routines import Routine, routines

GOALS = Path(__file__).parent / "media.en.json"
BEHAVIOUR = Behaviour(zipf=0.7, variety=1.5, repertoire=45, owns_name=0.4, follow_up=0.4, related=0.0)
"""People of this world want more kinds of things, more at once, and what comes next depends on what came before. `owns_name` is
the probability that a thing of taste (a song, a station, a town) is one of a person's own."""

_BREVITY = 0.75  # probability of few words where they are enough
_OUT_OF_PLACE = 0.1  # how much less a goal of a certain moment is wanted outside it
_WITHHELD = 0.2  # share of the brief phrases that never enter the log, as of all others


class Media:
    """People who name things in full, except where the moment or their taste says the rest.

    Args:
        wanted: what there is to want.
        people: who, with all that they ever want.
        days: user id -> where this person is when.
    """

    matter = True

    def __init__(self, wanted: Iterable[MediaGoal], people: Iterable[User], days: Mapping[str, Routine]) -> None:
        self._goals = {one.goal: one for one in wanted}
        self._days = days
        self._own = {user.user_id: self._favourites(user) for user in people}

    def around(self, user: User, ts_ms: int, before: Before | None) -> Around:
        """Return the device that is near, and what the assistant knows of the moment."""
        at = self._days[user.user_id].at(ts_ms)
        context: dict[str, str | int] = {"hour": ts_ms // HOUR_MS % 24, "room": at.room, "place": at.place, "state.oven": at.oven}
        if before:
            context["previous_utterance"] = before.heard
        return Around(f"{user.device_id}-{at.room}", at.device_type, context, before.goal if before else "")

    def pick(self, user: User, around: Around, rng: np.random.Generator) -> str:
        """Draw from the person's goals; those of a certain moment mostly come up in it."""
        weights = np.array(user.weights) * [self._wanted(goal, around) for goal in user.goals]
        return user.goals[int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))]

    def phrase(self, user: User, goal: str, around: Around, habit: float, rng: np.random.Generator) -> str:
        """Draw few words where they are enough, else the full ones."""
        few, full = self._parted(user, goal)
        enough = [text for text in few if self.meant(user, text, around) == goal]
        phrases = enough if enough and rng.random() < _BREVITY else full
        return phrases[0 if rng.random() < habit else int(rng.random() * len(phrases))]

    def otherwise(self, user: User, goal: str, said: str, rng: np.random.Generator) -> str:
        """Draw full words, others than before where there are any."""
        _, full = self._parted(user, goal)
        others = [text for text in full if text != said] or full
        return others[int(rng.random() * len(others))]

    def meant(self, user: User, brief: str, around: Around) -> str | None:
        """Return the goal that a person means by a brief phrase at a moment; None where the person would not use it there."""
        fitting = [w for w in self._goals.values() if brief in w.brief and w.fits(around)]
        goals = [w.goal for w in fitting if not w.mine or w.goal == self._own[user.user_id].get(brief)]
        return goals[0] if goals else None

    def _wanted(self, goal: str, around: Around) -> float:
        one = self._goals[goal]
        if not one.when:
            return 1.0
        return one.pull if one.fits(around) else _OUT_OF_PLACE

    def _parted(self, user: User, goal: str) -> tuple[list[str], list[str]]:
        brief = self._goals[goal].brief
        said = user.phrases[goal]
        return [text for text in said if text in brief], [text for text in said if text not in brief]

    def _favourites(self, user: User) -> dict[str, str]:
        """Return brief phrase -> what the person wants most of what is a matter of taste in it."""
        liked = [(text, goal) for goal in user.goals for text in self._goals[goal].brief if self._goals[goal].mine]
        return dict(reversed(liked))


def media_world(
    seed: int = 0,
    *,
    setting: str = "normal",
    n_users: int = 120,
    behaviour: Behaviour | None = None,
    misrouted: float = MISROUTED,
    refused: float = REFUSED,
    guessed: float = GUESSED,
) -> World:
    """Return a world in which the right interpretation of many phrases depends on who says them where, and after what.

    The assistant knows phrases word by word, and nothing of the moment: brief phrases it takes for their default, or refuses.
    So a goal is still one hypothesis, and phrases that name it in full always reach it.

    The arguments are those of `home_world`, without the language.

    Raises:
        ConfigError: there is no such setting.
    """
    wanted, stop = read_goals(GOALS)
    acts = behaviour or BEHAVIOUR
    goals = {one.goal: one.full + one.brief for one in wanted}
    owned = {one.goal: {"name": one.goal} for one in wanted if one.mine}
    users = people(goals, n_users, seed=seed, behaviour=acts, owned=owned, rooms=("home",))
    split = _split(wanted, users, seed)
    full: Goals = {one.goal: one.full for one in wanted}
    default: dict[str, str | None] = {text: None for one in wanted for text in one.brief}
    default |= {text: one.goal for one in wanted if one.default for text in one.brief}
    wrong = faults(full, split, shares_said(users, acts.habit), seed=seed, misrouted=misrouted, refused=refused)
    known = {text: goal for goal, texts in full.items() for text in texts}
    guesses = {text: goal for text, goal in known.items() if goal not in split.goals}
    assistant = Misrouting(Guessing(PhraseAssistant(known | {stop: "stop"}), guesses, guessed), wrong | default)
    channel = TextChannel([*known, *default], setting=setting, locale="en", seed=seed)
    moments = Media(wanted, users, routines((user.user_id for user in users), seed=seed))
    return World(f"media, {setting}", "en", assistant, goals, users, channel, channel, acts, split, stop, moments)


def _split(wanted: Sequence[MediaGoal], users: Sequence[User], seed: int) -> Withheld:
    """Withhold users, goals and full phrases as in every world, and as large a share of the brief phrases.

    A brief phrase stays away too where the assistant takes it for a goal that does, and where all that it can mean does.
    """
    split = split_of({one.goal: one.full for one in wanted}, users, seed=seed)
    meant: dict[str, list[MediaGoal]] = {}
    for one in wanted:
        for text in one.brief:
            meant.setdefault(text, []).append(one)
    gone = {text for text, of in meant.items() if all(w.goal in split.goals for w in of)}
    gone |= {text for text, of in meant.items() if any(w.default and w.goal in split.goals for w in of)}
    said = shares_said(users, habit=1.0)
    left = sorted(meant.keys() - gone, key=lambda text: (-said.get(text, 0.0), text))
    gone.update(spread(left, _WITHHELD, np.random.default_rng([seed, 7])))
    return Withheld(split.users, split.phrases | gone, split.goals)
