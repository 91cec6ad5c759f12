"""The normal form of a text, and the hashes under which texts and user ids are stored.

Offline jobs and serving use the same functions. This module imports only the standard library, so that a Spark cluster can load
it alone and a process that serves rules needs nothing else.
"""

import re
import unicodedata
from hashlib import blake2b

_DOTTED = str.maketrans({"I": "ı", "İ": "i"})
_LOWER = {"tr": _DOTTED, "az": _DOTTED}
"""Language -> capitals whose small letter is another one there: the conditions ``tr`` and ``az`` of Unicode's SpecialCasing.txt.
Those for Lithuanian (``lt``) only keep a dot that texts do not have after folding; all other rules hold in every language."""
_SUBTAG = re.compile(r"[-_.@]")
_PLAIN = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")
# What `_stays` says, of ASCII text alone, in a quarter of the time.
_ASCII_WORDS = re.compile(r"(?:[a-z0-9%$+&@#]|(?<=[a-z0-9])'(?=[a-z0-9])|(?<=[0-9])[.,:/-](?=[0-9])|(?<![a-z0-9-])-(?=[0-9]))+")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ＇`´", "'"))
_SYMBOLS = frozenset("%°$€£¥+&@#")
_JOINS_DIGITS = frozenset(".,:/-")
_SETTLED = 4  # passes; two suffice for every text seen, the bound is there so that no text can loop

_BEFORE = "\u0e40-\u0e44\u0ec0-\u0ec4"  # Thai and Lao vowels that are written before their consonant
_AFTER = "\u0e30\u0e32\u0e45\u0eb0\u0eb2"  # and those that are written after it
_UNSPACED = (  # Thai, Lao, Burmese, Khmer, kana, Han; without their digits, which are numbers
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u109d\u1780-\u17d3\u17dd"
    "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Letters of the scripts that write no blanks between words, as the inside of a character class."""
_DEPENDENT = (  # marks, small kana, the kana for a long vowel: they belong to the letter before them
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecf\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d"
    "\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e"
    "\u3099-\u309c\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30fc\ufe00-\ufe0f"
)
_STACKED = "(?:\u1039[\u1000-\u1021]|\u17d2[\u1780-\u17b3])"  # Burmese and Khmer consonants below another one
_CLUSTER = re.compile(f"[{_BEFORE}]?[{_UNSPACED}](?:{_STACKED}|[{_DEPENDENT}])*[{_AFTER}]?")
_EAST_ASIAN = "\u3005-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # writes none beside digits either
_BETWEEN = re.compile(
    f"(?<=[{_UNSPACED}\ufe00-\ufe0f]) (?=[{_UNSPACED}])|(?<=[{_EAST_ASIAN}]) (?=[0-9])|(?<=[0-9]) (?=[{_EAST_ASIAN}])"
)


def normalise(text: str, locale: str = "") -> str:
    """Return the form of a text under which it is counted, looked up and compared.

    Unicode NFKC and case folding; letters, marks and digits are kept, with the signs ``% ° $ € £ ¥ + & @ #``, apostrophes
    inside words, ``. , : / -`` between digits, and a minus before a number. Everything else parts words. White space
    becomes one blank. The function is idempotent, whatever the locales: ``normalise(normalise(x, a), b) == normalise(x, a)``.

    In scripts that write no blanks between words (Han, kana, Thai, Lao, Khmer, Burmese) every letter with its marks is a word of
    its own. Letters need no dictionary, so a garbled text is cut as the intended one is. `unspaced` takes the blanks out again.

    Args:
        text: any text.
        locale: BCP 47. Turkish and Azerbaijani have their own small letters for I and İ; empty if it is not known.

    Returns:
        The normal form; empty where the text holds no letter, digit or sign.

    Example:
        >>> normalise("  Turn  ON the Lamp, please! ")
        'turn on the lamp please'
        >>> normalise("set it to -5.5° at 7:30")
        'set it to -5.5° at 7:30'
        >>> normalise("打开厨房的灯"), normalise("เปิดไฟ")
        ('打 开 厨 房 的 灯', 'เปิ ด ไฟ')
        >>> normalise("SALI", "tr-TR"), normalise("SALI", "en")
        ('salı', 'sali')
    """
    if locale and ("I" in text or "İ" in text or not text.isascii()):
        text = _with_small_letters(text, locale)
    for _ in range(_SETTLED):
        if _PLAIN.fullmatch(text):
            break
        before, text = text, _once(text)
        if text == before:
            break
    return text


def unspaced(text: str) -> str:
    """Return a normalised text without the blanks that `normalise` put between letters of scripts that write none.

    Example:
        >>> unspaced("播 放 hello world"), unspaced("turn on the lamp")
        ('播放 hello world', 'turn on the lamp')
    """
    return text if text.isascii() else _BETWEEN.sub("", text)


def joined(one: str, other: str) -> bool:
    """Return whether two neighbouring words of a normalised text are written without a blank between them.

    Example:
        >>> joined("打", "开"), joined("hello", "world")
        (True, False)
    """
    return unspaced(f"{one} {other}") != f"{one} {other}"


def normal_forms(text: str) -> frozenset[str]:
    """Return the normal forms of a text in all locales, for where its locale is not known."""
    return frozenset(normalise(text, locale) for locale in ("", *_LOWER))


def _with_small_letters(text: str, locale: str) -> str:
    """Return a text with the small letters of its language, where case folding would give others."""
    small = _LOWER.get(_SUBTAG.split(locale, maxsplit=1)[0].lower())
    return text if small is None else unicodedata.normalize("NFKC", text).translate(small)


def text_hash(*parts: str, size: int = 8) -> bytes:
    """Return the BLAKE2b of some texts, the key under which files store what belongs to them.

    The parts are joined with NUL. No normalised text and no locale holds NUL, so two lists of parts never give the same bytes.
    Two texts share a 64-bit hash with probability ``n^2 / 2^65`` among n texts.

    Args:
        parts: for example a locale and a normalised utterance.
        size: bytes of the hash, 1..64.

    Example:
        >>> text_hash("en", "turn off the lamp").hex()
        'af0cc93cae37a4c3'
    """
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).digest()


def text_draw(purpose: str, text: str) -> float:
    """Return a number of [0, 1) that is drawn for a text: the same in every run, whatever other texts there are.

    Example:
        >>> text_draw("fold", "turn off the lamp") == text_draw("fold", "turn off the lamp") != text_draw("fold", "stop")
        True
    """
    return int.from_bytes(text_hash(purpose, text, size=4)) / 2**32


def hash_user(user_id: str, key: bytes) -> str:
    """Return the keyed BLAKE2b of a user id, 32 hex digits. Files hold user ids only in this form.

    Args:
        user_id: pseudonym as the log gives it.
        key: secret of one artefact folder, 16 to 64 bytes.

    Example:
        >>> hash_user("ann", b"0123456789abcdef") == hash_user("ann", b"fedcba9876543210")
        False
    """
    return blake2b(user_id.encode("utf-8", "surrogatepass"), key=key, digest_size=16).hexdigest()


def hash_household(household_id: str, key: bytes) -> str:
    """Return the keyed BLAKE2b of the id of a household, 32 hex digits; another one than that of a user of the same id.

    Args:
        household_id: pseudonym.
        key: secret of one artefact folder, 16 to 64 bytes.

    Example:
        >>> key = b"0123456789abcdef"
        >>> hash_household("ann", key) == hash_user("ann", key)
        False
    """
    return blake2b(household_id.encode("utf-8", "surrogatepass"), key=key, person=b"household", digest_size=16).hexdigest()


def _once(text: str) -> str:
    if text.isascii():
        return " ".join(_ASCII_WORDS.findall(text.lower().replace("`", "'")))
    visible = "".join(c for c in text.translate(_APOSTROPHES) if unicodedata.category(c) != "Cf")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold()).translate(_APOSTROPHES)
    folded = folded.replace("i\u0307", "i")  # what case folding makes of the Turkish capital I with a dot
    kept = [c if _stays(folded, i, c) else " " for i, c in enumerate(folded)]
    whole = _BETWEEN.sub("", " ".join("".join(kept).split()))
    return " ".join(_CLUSTER.sub(r" \g<0> ", whole).split())


def _stays(text: str, i: int, c: str) -> bool:
    """Whether the character at `i` belongs to a word; what stands beside it decides for joining signs."""
    if c.isalnum() or c in _SYMBOLS or unicodedata.category(c)[0] == "M":
        return True
    before, after = text[i - 1 : i], text[i + 1 : i + 2]
    if c == "'":
        return _is_word(before) and _is_word(after)
    if c in _JOINS_DIGITS and after.isdigit():
        return before.isdigit() or (c == "-" and not _is_word(before) and before != "-")
    return False


def _is_word(c: str) -> bool:
    return c.isalnum() or (c != "" and unicodedata.category(c)[0] == "M")
