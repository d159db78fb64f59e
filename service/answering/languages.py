"""Languages that reasons are told in: which one a caller wants, and its words.

The catalogues are gettext's, compiled beforehand, so that a worker needs nothing but Python to read them.
"""

import re
from functools import lru_cache
from gettext import NullTranslations, translation
from pathlib import Path

ENGLISH = "en"
LANGUAGES = (ENGLISH, "it", "pl", "ro")
CATALOGUES = Path(__file__).parent / "locale"
DOMAIN = "reasons"
REMEMBERED_BYTES = 128  # longer headers are read each time
MOST_RANGES = 20  # that are looked at
WEIGHT = re.compile(r"[qQ]=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")


def language_of(accepted: str | None) -> str:
    """The language for an `Accept-Language` header: of ours the one with the highest weight, the first of
    equals; English where none fits. `it-CH` is Italian (the lookup of RFC 4647, section 3.4).
    """
    if accepted is None:
        return ENGLISH
    return _remembered(accepted) if len(accepted) <= REMEMBERED_BYTES else _language_of(accepted)


def _language_of(accepted: str) -> str:
    best, most = ENGLISH, 0.0
    for part in accepted.split(",", MOST_RANGES)[:MOST_RANGES]:
        wanted, _, parameters = part.partition(";")
        language = wanted.strip().partition("-")[0].lower()
        language = ENGLISH if language == "*" else language
        weight = _weight(parameters.strip())
        if language in LANGUAGES and weight > most:
            best, most = language, weight
    return best


_remembered = lru_cache(512)(_language_of)


def _weight(parameters: str) -> float:
    """1 without any; 0, which is never, for what isn't one."""
    if not parameters:
        return 1.0
    found = WEIGHT.fullmatch(parameters)
    return float(found[1]) if found else 0.0


def words_of(language: str) -> NullTranslations:
    """The catalogue of a language; messages are written in English, which needs none."""
    if language == ENGLISH:
        return NullTranslations()
    return translation(DOMAIN, CATALOGUES, [language])
