"""`Config`: every number that a person may want to change, in one frozen tree, read from TOML."""

import difflib
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rewriter.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Logs:
    """Reading the log."""

    max_rejected: float = 0.01
    """Share of bad rows above which the job stops."""
    max_chars: int = 500
    """An utterance longer than this is set aside."""
    locale: str = "en"
    """Locale of rows that name none (BCP 47)."""
    intents_are_complete: bool = False
    """Whether `intent` alone, without slots, is an interpretation."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Where a session breaks."""

    gap_ms: int = 300_000
    """Silence of a user that ends a session, where the log names none."""


@dataclass(frozen=True, slots=True)
class Friction:
    """Evidence, in thousandths, that a turn went wrong. The strongest cue counts; explicit feedback overrules all."""

    failed: int = 1000
    """status = failed."""
    barge_in: int = 700
    """The next utterance interrupted the answer."""
    stop: int = 600
    """The next utterance is nothing but a stop word, soon after."""
    low_confidence: int = 300
    """nlu_confidence or asr_confidence below `confidence`."""
    unknown: int = 50
    """No cue at all: the absence of failure is weak evidence of success."""
    confidence: float = 0.3
    """Below this a confidence counts as low."""
    window_ms: int = 45_000
    """How soon the next turn must come to say something about this one."""


@dataclass(frozen=True, slots=True)
class Rephrases:
    """Which later turns may restate a turn."""

    reach: int = 3
    """How many turns ahead are looked at, at most 3."""
    window_ms: int = 60_000
    """How soon a restatement comes."""
    reader: str = ""
    """A BERT-like transformer that reads the dialogue where the trees are unsure, a folder or a name that the hub knows; empty
    for none. It takes minutes, and serves only where it finds more than the trees."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Solving the absorbing chain."""

    user_cap: int = 5
    """At most this many turns of one user count in one row of the chain."""
    exact: int = 500
    """Components up to this many states are solved by exact LU."""
    hops: int = 12
    """Terms of the power series in a larger component."""
    prune: float = 1e-4
    """Entries of the series below this are dropped, and enter the error bound."""
    top: int = 8
    """Targets kept for each state."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Which rewrites become rules."""

    min_users: int = 3
    """k: distinct users behind anything that is not personal."""
    max_loss_share: float = 0.05
    """q: expected share of losses among the decided outcomes of the launched set, weighted by traffic."""
    min_p_gain: float = 0.95
    """Least posterior probability that a rule wins more than it loses."""
    rivals: int = 3
    """Targets that are weighed for each source."""
    draws: int = 500
    """Posterior draws for each rule."""
    personal: bool = True
    """Whether rules for one user are learned from that user's own turns."""
    personal_turns: int = 1
    """Restatements by the user herself that a personal rule needs at least; the rest of the evidence may be the crowd's."""


KINDS = ("static", "transformer", "student")
"""Kinds of encoder."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """What turns texts into vectors."""

    kind: str = "static"
    """``static``: learned from the log alone; ``transformer``: a fine-tuned sentence transformer, which serving needs the extra
    ``onnx`` for; ``student``: that transformer, distilled into a static encoder."""
    base: str = ""
    """The sentence transformer to start from, a folder or a name that the hub knows; none for ``static``."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Learning from what was done: how evidence ages, and how rules live (docs/loop.md)."""

    half_life_days: int = 30
    """Evidence of a text that is so much older than the newest of it weighs half; 0 for no ageing."""
    refit_days: int = 7
    """What is fitted (detector, priors, the online layer) is fitted anew so many days after it was, or once the log has grown by
    half; 0 for no online layer, and all else anew with every run."""
    recent_days: int = 28
    """Turns of so many days are kept, privately, for the detector and the online layer to learn from."""
    draw: bool = False
    """Whether part of the requests is left alone for comparison; on where `learn` is given decisions."""
    canary: float = 0.1
    """Share of a new rule's requests that is left alone."""
    floor: float = 0.005
    """The least share of a rule's requests that is left alone, however good it is."""
    alpha: float = 0.02
    """Probability with which a rule is ever judged wrongly, one way or the other."""
    mean_days_between_false_alarms: int = 1000
    """Days, in the mean, after which a rule as good as ever is looked at more closely by mistake."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """When the online layer acts."""

    max_loss_share: float = 0.05
    """Expected share of losses among the decided outcomes of its rewrites."""
    suggest_loss_share: float = 0.3
    """The same as `max_loss_share` for what is only suggested ("did you mean …?")."""
    max_asked: float = 0.02
    """Share of the requests that may be followed by "did I get that right?": mostly those whose answer teaches most."""
    max_asked_a_day: int = 1
    """How often one user may be asked that in a day."""


@dataclass(frozen=True, slots=True)
class Publish:
    """When a new version does not serve until a person says so."""

    guard: bool = True
    """Whether `learn` holds back a version that is worse on replay, much smaller, or changes too much."""
    min_size: float = 0.5
    """A version with fewer rules than this share of those that serve is much smaller."""
    max_churn: float = 0.3
    """Share of the served rules, by traffic, that a version may drop or point elsewhere."""
    few_rules: int = 20
    """Size and churn are looked at only where at least this many rules serve: a small set changes much, and rightly so."""
    replayed: int = 10_000
    """Turns of the newest log that are replayed at most."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of `learn`; written whole into the manifest.

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
    seed: int = 0
    """Seed of every random draw of `learn`."""

    @classmethod
    def from_toml(cls, path: str | Path) -> "Config":
        """Read a TOML file of sections named as the fields of this class.

        Raises:
            ConfigError: the file cannot be read, names an unknown key or holds a value of another type.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read settings {path}: {error}") from error
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Config":
        """Build a Config from nested dicts; what is not named keeps its default.

        Raises:
            ConfigError: an unknown key, or a value of another type or out of range.
        """
        config: Config = _build(cls, data, "")
        _check(config)
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as nested dicts, the inverse of `from_dict`."""
        return asdict(self)


def _build(cls: type, data: dict[str, Any], prefix: str) -> Any:  # noqa: ANN401 - one builder for every part
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


_SHARES = (
    *("logs.max_rejected", "friction.confidence", "chain.prune", "launch.max_loss_share", "launch.min_p_gain"),
    *("trigger.max_loss_share", "trigger.suggest_loss_share", "trigger.max_asked", "publish.min_size", "publish.max_churn"),
    *("loop.canary", "loop.floor", "loop.alpha"),
)
_LEAST = (
    dict.fromkeys(("sessions.gap_ms", "rephrases.window_ms", "publish.replayed", "trigger.max_asked_a_day"), 0)
    | dict.fromkeys(("loop.half_life_days", "loop.refit_days", "loop.recent_days"), 0)
    | dict.fromkeys(("logs.max_chars", "rephrases.reach", "publish.few_rules", "loop.mean_days_between_false_alarms"), 1)
    | dict.fromkeys(("chain.user_cap", "chain.exact", "chain.hops", "chain.top"), 1)
    | dict.fromkeys(("launch.min_users", "launch.personal_turns", "launch.rivals"), 1)
    | {"launch.draws": 10}
)


def _check(config: Config) -> None:
    """Refuse values that no step can work with."""
    for name in _SHARES:
        if not 0.0 <= (value := attrgetter(name)(config)) <= 1.0:
            raise ConfigError(f"setting {name} must lie between 0 and 1, not {value}")
    for name, low in _LEAST.items():
        if (value := attrgetter(name)(config)) < low:
            raise ConfigError(f"setting {name} must be at least {low}, not {value}")
    if config.rephrases.reach > 3:
        raise ConfigError(f"setting rephrases.reach must be at most 3, not {config.rephrases.reach}")
    _check_encoder(config.encoder)
    for name, value in (("rephrases", config.rephrases.window_ms), ("friction", config.friction.window_ms)):
        if value > config.sessions.gap_ms:
            raise ConfigError(f"setting {name}.window_ms must be at most sessions.gap_ms, {config.sessions.gap_ms}, not {value}")
    for f in fields(config.friction):
        if f.type is int and f.name != "window_ms" and not 0 <= getattr(config.friction, f.name) <= 1000:
            raise ConfigError(f"setting friction.{f.name} must lie between 0 and 1000 thousandths")


def _check_encoder(encoder: Encoder) -> None:
    if encoder.kind not in KINDS:
        raise ConfigError(f"setting encoder.kind must be one of {', '.join(KINDS)}, not {encoder.kind!r}")
    if (encoder.kind == "static") == bool(encoder.base):
        raise ConfigError("setting encoder.base must name a sentence transformer, unless encoder.kind is static, which has none")
