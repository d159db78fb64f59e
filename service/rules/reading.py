"""From the text of a file to its rules, or to all mistakes that are in it."""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

from pydantic import ValidationError

from service.rules.errors import BadRulesError, Mistake
from service.rules.file import KINDS_OF_RULES, SPELT, Rule, RulesFile
from service.rules.long_keys import MOST_PARTS, has_long_key

MAX_BYTES = 1024 * 1024
RULE_BEGINS = re.compile(r"^[ \t]*\[\[[ \t]*rules[ \t]*\]\]", re.MULTILINE)
PYDANTICS_OWN = ("int", "float", "str", "bool", "date", "datetime")
KEYS = {
    get_args(member.model_fields["kind"].annotation)[0]: ", ".join(member.model_fields)
    for member in KINDS_OF_RULES
}
KINDS = ", ".join(KEYS)
OUR_WORDS = {
    "tuple_type": "must be a list: values stand in [ ]",
    "extra_forbidden": "there is no such key",
    "missing": "is missing",
    "greater_than": "must be above {gt:.10g}",
    "greater_than_equal": "must be at least {ge:.10g}",
    "less_than_equal": "must be at most {le:.10g}",
    "finite_number": "must be a number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "string_type": "must be a text, in quotes",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_short": "needs at least {min_length}",
    "too_long": "has more than {max_length}",
    "literal_error": "must be {expected}",
    "union_tag_not_found": f"kind is missing; the kinds are {KINDS}",
    "union_tag_invalid": f"no kind {{tag!r}}; the kinds are {KINDS}",
}
WHERE_IN_TOML = re.compile(r" \(at line (\d+), column \d+\)$")


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules as they were given, and the name of this state of them.

    Attributes:
        version: the record's number, or the beginning of the text's SHA-256 for a file.
        text: the file.
    """

    version: str
    text: str
    rules: tuple[Rule, ...]


NO_RULES = Rules("none", "schema = 1\n", ())


def version_of(text: str) -> str:
    """What a file's content is called."""
    return f"file-{sha256(text.encode()).hexdigest()[:12]}"


def parse_rules(text: str, *, name: str = "rules", version: str | None = None) -> Rules:
    """The rules of a file.

    Args:
        text: of the file.
        name: of the file, for the error.
        version: what to call these rules; None: by their content.
    Raises:
        BadRulesError: with every mistake.
    """
    if len(text.encode()) > MAX_BYTES:
        raise BadRulesError(name, [Mistake(None, None, "", f"longer than {MAX_BYTES} bytes")])
    if has_long_key(text):
        raise BadRulesError(name, [Mistake(None, None, "", f"a key has more than {MOST_PARTS} parts")])
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as err:
        raise BadRulesError(name, [_not_toml(err)]) from err
    lines = _lines_of(text, content)
    try:
        rules = RulesFile.model_validate(content).rules
    except ValidationError as err:
        told: set[tuple[object, ...]] = set()
        found = list(dict.fromkeys(_mistake(part, content, lines, told) for part in _telling(err.errors())))
        raise BadRulesError(name, found) from err
    twice = [rule_id for rule_id, times in Counter(rule.id for rule in rules).items() if times > 1]
    if twice:
        places = [[n for n, rule in enumerate(rules) if rule.id == rule_id][1] for rule_id in twice]
        why = "another rule has this id, and each needs its own"
        found = [Mistake(rules[n].id, lines.get(n), f"rules.{n + 1}.id", why) for n in places]
        raise BadRulesError(name, found)
    return Rules(version or version_of(text), text, rules)


def decode(content: bytes, name: str = "rules") -> str:
    """The text of a file, without the mark that Windows' editors may put first.

    Raises:
        BadRulesError: it isn't UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadRulesError(name, [Mistake(None, None, "", "not UTF-8")]) from err


def _not_toml(err: Exception) -> Mistake:
    if isinstance(err, RecursionError):
        return Mistake(None, None, "", "not TOML: nested too deep")
    if not isinstance(err, tomllib.TOMLDecodeError):  # Python's own, of thousands of digits
        return Mistake(None, None, "", "a number has more digits than can be read")
    where = WHERE_IN_TOML.search(str(err))
    text = WHERE_IN_TOML.sub("", str(err))
    return Mistake(None, int(where[1]) if where else None, "", f"not TOML: {text}")


def _lines_of(text: str, content: dict[str, Any]) -> dict[int, int]:
    """The line at which each rule begins; nothing if they can't be told apart in the text."""
    found = [text.count("\n", 0, match.start()) + 1 for match in RULE_BEGINS.finditer(text)]
    rules = content.get("rules")
    if not isinstance(rules, list) or len(found) != len(rules):
        return {}
    return dict(enumerate(found))


def _telling(errors: list[Any]) -> list[Any]:
    """Without those that only follow from others: a list is too short because a part of it was refused."""
    inner = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in inner]


def _mistake(
    error: Any, content: dict[str, Any], lines: dict[int, int], told: set[tuple[object, ...]]
) -> Mistake:
    first, place, *rest = (*error["loc"], None, None)[: max(len(error["loc"]), 2)]
    why = _why(error) + _keys_there_are(error, told)
    if first != "rules" or not isinstance(place, int):
        return Mistake(None, None, _path(error["loc"]), why)
    rule = content["rules"][place]
    rule_id = rule.get("id") if isinstance(rule, dict) else None
    kind = rule.get("kind") if isinstance(rule, dict) else None
    if rest and rest[0] == kind:
        rest = rest[1:]  # pydantic's word for the member of the union
    shown = rule_id if isinstance(rule_id, str) else None
    return Mistake(shown, lines.get(place), _path(("rules", place, *rest)), why)


def _keys_there_are(error: Any, told: set[tuple[object, ...]]) -> str:
    """Of the first unknown key of a rule which there are; once, since a file may hold a hundred thousand."""
    rule = error["loc"][:3]  # "rules", place, kind
    if error["type"] != "extra_forbidden" or len(error["loc"]) != 4 or rule in told:
        return ""
    told.add(rule)
    return f"; {rule[2]} has {KEYS[rule[2]]}"


def _path(loc: tuple[str | int, ...]) -> str:
    """Places count from 1, as people do; names of pydantic's own unions are left out."""
    shown = [str(part + 1) if isinstance(part, int) else part for part in loc]
    return ".".join(part for part in shown if "[" not in part and part not in PYDANTICS_OWN)


def _why(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "tuple_type" and error["loc"] == ("rules",):
        return "must be a list: of rules each begins with [[rules]]"
    if kind in OUR_WORDS:
        return OUR_WORDS[kind].format(**context)
    if kind == "string_pattern_mismatch":
        return SPELT[context["pattern"]]
    if error["loc"][-1] in ("date", "datetime"):
        return "must be a date or a date-time of TOML, without quotes, such as 2026-12-24T18:00:00"
    return str(error["msg"]).removeprefix("Value error, ")
