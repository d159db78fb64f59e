"""Dotted keys of very many parts: Python's TOML parser takes 20 s for 32,000 of them, which are 64 KB."""

import re

MOST_PARTS = 32

# Each alternative goes on to the end of the text where it isn't closed: nothing is looked at twice.
_QUOTED = re.compile(
    r'"""(?:\\.?|[^\\])*?(?:"{3,5}|\Z)'
    r"|'''.*?(?:'{3,5}|\Z)"
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*",
    re.DOTALL,
)
_PART = r"[A-Za-z0-9_-]"
_LONG = re.compile(rf"(?<!{_PART})(?:{_PART}++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}{_PART}")


def has_long_key(text: str) -> bool:
    """Whether a key of a TOML text has more than MOST_PARTS parts; in time that is linear in its length.

    Outside of texts and comments nothing else has so many dots in a row.
    """
    return bool(_LONG.search(_QUOTED.sub(lambda found: "" if found[0][0] == "#" else "_", text)))
