"""Makes the word lists of languages without a list of their own: numbers, days of the week, months.

    python benchmarks/word_lists.py [--check]

All words are those of the Unicode CLDR: cardinals from 0 to 100 and hundreds to 1,000 in every gender and case, by the package
unicode-rbnf; days and months, in the forms for use alone and within a date, by the package babel. The word for 1 is left out,
because in many languages it is also the article. Nobody who speaks a language has read its list. `--check` compares the files
with what would be made, and writes nothing. The files are
``rewriter/guardrail/generated/<language>.json``; `rewriter.guardrail.lexicon.for_locale` reads them.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from babel import Locale, localedata
from unicode_rbnf import RbnfEngine

from rewriter.guardrail.lexicon import read_lexicon, shipped
from rewriter.text import normalise

FOLDER = Path(__file__).parents[1] / "rewriter" / "guardrail" / "generated"
LANGUAGES = (
    "af", "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "el", "et", "eu", "fa", "fi", "fil",
    "ga", "gl", "he", "hi", "hr", "hu", "hy", "id", "is", "ja", "ka", "kk", "km", "kn", "ko", "ky", "lb", "lo",
    "lt", "lv", "mk", "ml", "mn", "mr", "ms", "mt", "my", "nb", "ne", "nn", "no", "pa", "pl", "pt", "ro", "ru",
    "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "uk", "ur", "uz", "vi", "yue", "zh", "zu",
)  # fmt: skip
OTHER_NAMES = {"nb": "no"}
"""The code under which unicode-rbnf has a language, where it is another."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
CARDINALS = (0, *range(2, 101), *range(200, 1001, 100))


def numbers(language: str) -> dict[str, int]:
    """Number words of a language, without those that stand for two numbers; none where CLDR has no rules for the language."""
    code = OTHER_NAMES.get(language, language)
    engines = [RbnfEngine.for_language(of) for of in RbnfEngine.get_supported_languages() if of in scripts(code)]
    found: dict[str, set[int]] = {}
    for engine, n in product(engines, CARDINALS):
        for said in engine.format_number(n).text_by_ruleset.values():
            text = normalise(said)
            if text and not any(c.isdecimal() for c in text):
                found.setdefault(text, set()).add(n)
    return {text: next(iter(values)) for text, values in found.items() if len(values) == 1}


def scripts(language: str) -> list[str]:
    """A language, and the same in the scripts in which it is also written."""
    return [language, *(f"{language}_{script}" for script in ("Latn", "Cyrl", "Hans", "Hant"))]


def named(locales: Iterable[Any], keys: tuple[str, ...], first: int) -> Iterator[tuple[str, list[str]]]:
    """The full names of days or months in the forms of CLDR, by their key.

    Args:
        locales: ``days`` or ``months`` of some locales of babel.
        keys: the names of days or months here.
        first: the number of the first in CLDR.
    """
    for i, key in enumerate(keys):
        forms = dict.fromkeys(normalise(of[use]["wide"][i + first]) for of in locales for use in ("stand-alone", "format"))
        yield key, [form for form in forms if form and not any(c.isdecimal() for c in form)]


def values(language: str) -> dict[str, dict[str, list[str]]]:
    """Days and months of a language. A name that two of them share is left out."""
    known = [Locale.parse(code) for code in scripts(language) if code in localedata.locale_identifiers()]
    found = {
        "day": dict(named([locale.days for locale in known], DAYS, 0)),
        "month": dict(named([locale.months for locale in known], MONTHS, 1)),
    }
    texts = [text for of in found.values() for forms in of.values() for text in forms]
    once = {text for text in texts if texts.count(text) == 1}
    kept = {slot: {key: [form for form in forms if form in once] for key, forms in of.items()} for slot, of in found.items()}
    return {slot: {key: forms for key, forms in of.items() if forms} for slot, of in kept.items() if any(of.values())}


def word_list(language: str, units: dict[str, list[str]]) -> dict[str, Any]:
    """The list of one language, as `read_lexicon` reads it."""
    return {
        "language": language,
        "about": f"Made by benchmarks/word_lists.py from the Unicode CLDR (unicode-rbnf {version('unicode-rbnf')}, "
        f"babel {version('babel')}). Not read by speakers.",
        "values": values(language),
        "units": units,
        "numbers": numbers(language),
    }


def main() -> None:
    """Write the lists, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    files = shipped()
    units = json.loads(files["und"].read_text(encoding="utf-8"))["units"]
    FOLDER.mkdir(exist_ok=True)
    different = []
    for language in LANGUAGES:
        made = word_list(language, units)
        if language in files or not (made["numbers"] or made["values"]):
            continue
        path = FOLDER / f"{language}.json"
        text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
        if args.check:
            different += [language] if not path.exists() or path.read_text(encoding="utf-8") != text else []
            continue
        path.write_text(text, encoding="utf-8")
        lexicon = read_lexicon(path)
        print(f"{language}: {len(made['numbers'])} numbers, {len(lexicon.kinds)} slots")
    if different:
        sys.exit(f"not as they would be made: {' '.join(different)}; run python benchmarks/word_lists.py")


if __name__ == "__main__":
    main()
