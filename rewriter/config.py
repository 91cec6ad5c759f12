"""`Config`: every setting of `learn`, in one frozen tree that can be read from TOML.

A setting stands in one place: its type, default, bounds and explanation are beside each other, made by `setting`. `reference`
lists them all; `docs/settings.md` is generated from it.
"""

import difflib
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rewriter.errors import ConfigError

ENCODER_KINDS = ("static", "transformer", "student")


def setting(
    default: object, about: str, *, least: float | None = None, most: float | None = None, choices: tuple[str, ...] = ()
) -> Any:  # noqa: ANN401 - like dataclasses.field
    """Declare a setting of a section.

    Args:
        default: its value where nothing else is said; its type is the type of the setting.
        about: one or two sentences for people: what it does, in which unit, and when to change it.
        least: smallest allowed value; None for no bound.
        most: largest allowed value; None for no bound.
        choices: the allowed values of a text; empty for any text.
    """
    return field(default=default, metadata={"about": about, "least": least, "most": most, "choices": choices})


@dataclass(frozen=True, slots=True)
class Logs:
    """Reading the log."""

    max_rejected: float = setting(0.01, "Share of rejected rows above which `learn` stops.", least=0, most=1)
    max_chars: int = setting(500, "An utterance with more characters is rejected.", least=1)
    far_days: int = setting(366, "A few rows that are further than this from all others are rejected; 0 for none.", least=0)
    locale: str = setting("en", "Locale (BCP 47) of rows that name none.")
    intents_are_complete: bool = setting(
        False, "Whether `intent` without `slots` is a whole interpretation. Leave it off where intents take slots."
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """Cutting a user's turns into sessions."""

    gap_ms: int = setting(300_000, "Milliseconds of silence that end a session where the log has no `session_id`.", least=0)


@dataclass(frozen=True, slots=True)
class Friction:
    """Evidence, in thousandths, that a turn went wrong. The strongest cue counts; explicit feedback overrules all cues."""

    failed: int = setting(1000, "Friction where `status` is `failed`.", least=0, most=1000)
    barge_in: int = setting(700, "Friction where the next utterance interrupts the answer.", least=0, most=1000)
    stop: int = setting(600, "Friction where the next utterance, soon after, is only a stop word.", least=0, most=1000)
    low_confidence: int = setting(
        300, "Friction where `nlu_confidence` or `asr_confidence` is below `confidence`.", least=0, most=1000
    )
    unknown: int = setting(50, "Friction without any cue: not to see a failure is weak evidence of success.", least=0, most=1000)
    confidence: float = setting(0.3, "A confidence below this counts as low.", least=0, most=1)
    window_ms: int = setting(
        45_000, "Milliseconds within which the next turn must come to count as a cue. At most `sessions.gap_ms`.", least=0
    )


@dataclass(frozen=True, slots=True)
class Rephrases:
    """Which later turns may be a rephrase of a turn."""

    reach: int = setting(3, "How many later turns are candidates.", least=1, most=3)
    window_ms: int = setting(60_000, "Milliseconds within which a rephrase comes. At most `sessions.gap_ms`.", least=0)
    reader: str = setting(
        "",
        "Folder or hub name of a BERT-like transformer that reads the dialogue where the trees are unsure; empty for none. It "
        "takes minutes, and is used only if it finds more rephrases than the trees do.",
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """Solving the absorbing Markov chain."""

    user_cap: int = setting(5, "Turns of one user that count at most in one row of the chain.", least=1)
    exact: int = setting(500, "Components with up to this many states are solved exactly by LU.", least=1)
    hops: int = setting(12, "Terms of the power series that solves a larger component.", least=1)
    prune: float = setting(1e-4, "Entries of the series below this are dropped. The error bound includes them.", least=0, most=1)
    top: int = setting(8, "Targets that are kept for each state.", least=1)


@dataclass(frozen=True, slots=True)
class Launch:
    """Which rewrites become rules."""

    min_users: int = setting(3, "k: the distinct users behind anything that is not personal.", least=1)
    max_loss_share: float = setting(
        0.05,
        "q, the budget: the expected share of losses among wins and losses of all launched rules, weighted by traffic.",
        least=0,
        most=1,
    )
    min_p_gain: float = setting(
        0.95, "The posterior probability that a rule wins more than it loses must reach this.", least=0, most=1
    )
    rivals: int = setting(3, "Targets that are assessed for each source.", least=1)
    draws: int = setting(500, "Posterior draws for each rule.", least=10)
    personal: bool = setting(True, "Whether rules for single users are learned from their own turns.")
    personal_turns: int = setting(
        1,
        "Rephrases of her own that a personal rule needs at least. The rest of its evidence may come from other users.",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class Encoder:
    """The encoder that turns texts into vectors."""

    kind: str = setting(
        "static",
        "`static` is learned from the log alone. `transformer` is a fine-tuned sentence transformer; serving it needs the extra "
        "`onnx`. `student` is that transformer distilled into a static encoder.",
        choices=ENCODER_KINDS,
    )
    base: str = setting("", "Folder or hub name of the sentence transformer to start from; empty where `kind` is `static`.")


@dataclass(frozen=True, slots=True)
class Loop:
    """Learning from the effect of rewrites: how evidence ages and how rules are tested (docs/loop.md)."""

    half_life_days: int = setting(
        30, "Evidence of a text weighs half if it is this many days older than the newest of that text; 0 for no decay.", least=0
    )
    refit_days: int = setting(
        7,
        "Days after which detector, priors and online layer are fitted again; also once the log has grown by half. With 0 "
        "everything is fitted in each run and there is no online layer.",
        least=0,
    )
    recent_days: int = setting(
        28, "Days of turns that the private state keeps, for detector and online layer to learn from.", least=0
    )
    draw: bool = setting(
        False, "Whether a part of the requests is held out for comparison. It is on wherever `learn` is given decisions."
    )
    canary: float = setting(0.1, "Share of a new rule's requests that is held out.", least=0, most=1)
    floor: float = setting(0.005, "Smallest share of a live rule's requests that is held out.", least=0, most=1)
    alpha: float = setting(
        0.02, "Probability that the tests of one rule ever decide wrongly, in either direction.", least=0, most=1
    )
    mean_days_between_false_alarms: int = setting(
        1000, "Mean days until a rule that works as well as before is put on probation by mistake.", least=1
    )


@dataclass(frozen=True, slots=True)
class Trigger:
    """When the online layer rewrites."""

    max_loss_share: float = setting(
        0.05, "Budget: the expected share of losses among wins and losses of its rewrites.", least=0, most=1
    )
    min_p_before: float = setting(
        0.65,
        "P(success) below which no rewrite is sent before the NLU, whatever the budget allows. A loss breaks a request that may "
        "be fine, so this is P = c / (1 + c) where a loss costs as much as c wins. Raise it where a wrong action is costly.",
        least=0.65,
        most=1,
    )
    min_p_after: float = setting(
        0.5,
        "The same after a refusal, where the request has failed already, and a loss costs as much as one win.",
        least=0.5,
        most=1,
    )
    suggest_loss_share: float = setting(
        0.3, "The same budget for suggestions, which the user confirms (did you mean ...?).", least=0, most=1
    )
    min_p_suggested: float = setting(0.3, "P(success) below which nothing is suggested.", least=0, most=1)
    always_suggested: float = setting(
        0.8, "P(success) from which on, after a refusal, what may not be sent is suggested, whatever the budget.", least=0, most=1
    )
    max_asked: float = setting(
        0.02,
        "Share of requests after which the user may be asked whether the answer was right. Those whose answer teaches most "
        "are chosen.",
        least=0,
        most=1,
    )
    max_asked_a_day: int = setting(1, "How often one user may be asked that in a day.", least=0)


@dataclass(frozen=True, slots=True)
class Publish:
    """When a new version is held back until a person publishes it."""

    guard: bool = setting(
        True, "Whether `learn` holds back a version that is worse on replay, much smaller, or changes too much."
    )
    min_size: float = setting(
        0.5, "A version with fewer rules than this share of the served rules counts as much smaller.", least=0, most=1
    )
    max_churn: float = setting(
        0.3, "Share of the served rules, by traffic, that a version may drop or point elsewhere.", least=0, most=1
    )
    few_rules: int = setting(
        20, "Size and churn are checked only if at least this many rules are served. Small sets change much.", least=1
    )
    replayed: int = setting(10_000, "Turns of the newest log that are replayed at most.", least=0)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of `learn`. The manifest of a version holds them all.

    Example:
        >>> Config.from_dict({"launch": {"min_users": 5}}).launch.min_users
        5
    """

    logs: Logs = field(default_factory=Logs)
    sessions: Sessions = field(default_factory=Sessions)
    friction: Friction = field(default_factory=Friction)
    rephrases: Rephrases = field(default_factory=Rephrases)
    chain: Chain = field(default_factory=Chain)
    launch: Launch = field(default_factory=Launch)
    encoder: Encoder = field(default_factory=Encoder)
    trigger: Trigger = field(default_factory=Trigger)
    publish: Publish = field(default_factory=Publish)
    loop: Loop = field(default_factory=Loop)
    seed: int = setting(0, "Seed of every random draw of `learn`.", least=0)

    @classmethod
    def from_toml(cls, path: str | Path) -> "Config":
        """Read a TOML file whose sections are named as the fields of this class.

        Raises:
            ConfigError: the file cannot be read, names an unknown setting, or holds a value of a wrong type or out of bounds.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read settings {path}: {error}") from error
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Config":
        """Build a Config from nested dicts. What is not named keeps its default.

        Raises:
            ConfigError: an unknown setting, or a value of a wrong type or out of bounds.
        """
        config: Config = _build(cls, data, "")
        for row in reference(config):
            row.check()
        _check_together(config)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as nested dicts, the inverse of `from_dict`."""
        return asdict(self)


class Setting(NamedTuple):
    """One setting as people read it.

    Attributes:
        name: section and field, as in TOML: ``launch.min_users``.
        value: its value.
        about: what it does.
        least: smallest allowed value, or None.
        most: largest allowed value, or None.
        choices: allowed texts; empty for any.
    """

    name: str
    value: object
    about: str
    least: float | None
    most: float | None
    choices: tuple[str, ...]

    def check(self) -> None:
        """Compare the value with its bounds.

        Raises:
            ConfigError: the value is out of bounds.
        """
        if self.choices and self.value not in self.choices:
            raise ConfigError(f"setting {self.name} must be one of {', '.join(self.choices)}, not {self.value!r}")
        if not isinstance(self.value, (int, float)):
            return
        low, high = self.least is not None and not self.value >= self.least, self.most is not None and not self.value <= self.most
        if (low or high) and self.least is not None and self.most is not None:
            raise ConfigError(f"setting {self.name} must lie between {self.least} and {self.most}, not {self.value}")
        if low or high:
            raise ConfigError(f"setting {self.name} must be at least {self.least}, not {self.value}")


def reference(config: Config | None = None) -> Iterator[Setting]:
    """Yield every setting in the order of declaration, with the values of a config.

    Args:
        config: whose values; the defaults if None.

    Example:
        >>> row = next(row for row in reference() if row.name == "launch.min_users")
        >>> row.value, row.least, row.about
        (3, 1, 'k: the distinct users behind anything that is not personal.')
    """
    config = config or Config()
    for part in fields(config):
        value = getattr(config, part.name)
        inside = [(f"{part.name}.", value, f) for f in fields(value)] if is_dataclass(value) else [("", config, part)]
        for prefix, section, f in inside:
            yield Setting(prefix + f.name, getattr(section, f.name), **f.metadata)


def _build(cls: type, data: dict[str, Any], prefix: str) -> Any:  # noqa: ANN401 - one builder for every section
    default = cls()
    known = {f.name: getattr(default, f.name) for f in fields(cls)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1) or sorted(known)
            raise ConfigError(f"unknown setting {prefix}{key}; did you mean {prefix}{nearest[0]}?")
        kind = type(known[key])
        if is_dataclass(kind):
            if not isinstance(value, dict):
                raise ConfigError(f"setting {prefix}{key} is a section, not a value")
            values[key] = _build(kind, value, f"{prefix}{key}.")
        elif kind is float and type(value) is int:
            values[key] = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"setting {prefix}{key} must be {kind.__name__}, not {type(value).__name__}")
        else:
            values[key] = value
    return cls(**values)


def _check_together(config: Config) -> None:
    """Refuse values that contradict each other."""
    for name, value in (("rephrases", config.rephrases.window_ms), ("friction", config.friction.window_ms)):
        if value > config.sessions.gap_ms:
            raise ConfigError(f"setting {name}.window_ms must be at most sessions.gap_ms, {config.sessions.gap_ms}, not {value}")
    if (config.encoder.kind == "static") == bool(config.encoder.base):
        raise ConfigError("setting encoder.base must name a sentence transformer, unless encoder.kind is static, which has none")
