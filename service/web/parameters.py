"""The parameters of the routes: their limits stand here once, for the parser and for the OpenAPI document."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from service.errors import RefusedError

N_DEFAULT, N_MIN, N_MAX = 10, 1, 100
ID_BYTES = 256
CATEGORY_BYTES = 256
EXCLUDE_MAX, VIEWED_MAX = 100, 20
IDS_BYTES = 16 * 1024  # of all ids with their commas: percent-encoded, a URL has 64 KiB at most
PLACEMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
KNOWN = ("n", "placement", "category", "exclude")
OF_CUSTOMER, OF_REORDER = (*KNOWN, "objective", "viewed", "variant"), (*KNOWN, "within")
OF_TRY = ("at", "customer", *KNOWN, "objective")
OF_OFFERS = ("n", "placement", "objective")
WITHIN_MAX = 366
FORCED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
OBJECTIVES = ("probability", "value", "discovery", "reorder")
OFFER_OBJECTIVES = ("value", "probability")
REMEMBERED_BYTES = 64  # longer query strings are parsed each time


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for: how many products, from which category, without which, to be shown where, what for;
    of what is due again, within how many days; what somebody looked at just now; and, by an operator, which
    variant of an experiment: `EXPERIMENT:VARIANT`. What nobody asks for and an experiment says: `spare`, so
    many products more, where one is to be drawn, and `rule_set`, of the rules that hold for some variants
    only."""

    n: int = N_DEFAULT
    category: str | None = None
    exclude: tuple[str, ...] = ()
    placement: str | None = None
    objective: str = OBJECTIVES[0]
    within_days: int = 0
    viewed: tuple[str, ...] = ()
    variant: str | None = None
    spare: int = 0
    rule_set: str = ""


def parse_query(query_string: bytes) -> Query:
    """The parameters of a query string.

    Raises:
        RefusedError: a parameter is unknown, given twice, or out of its limits.
    """
    return _parsed(query_string, KNOWN)


def parse_personal_query(query_string: bytes) -> Query:
    """The same for a route that is about a customer, which has an objective."""
    return _parsed(query_string, OF_CUSTOMER)


def parse_offers_query(query_string: bytes) -> Query:
    """The same of `/offers`, whose objective is `value` unless it is said."""
    return _parse(query_string, OF_OFFERS, OFFER_OBJECTIVES)


def parse_try_query(query_string: bytes) -> Query:
    """The same where rules are tried; a moment and a customer stand beside it, which the route reads."""
    return _parse(query_string, OF_TRY)


def parse_reorder_query(query_string: bytes) -> Query:
    """The same of `/reorder`."""
    return _parsed(query_string, OF_REORDER)


def check_no_query(query_string: bytes) -> None:
    """Refuse a query on a route that has none: `?` within an id that wasn't percent-encoded begins one."""
    if query_string:
        name = query_string.decode("ascii", "replace").partition("=")[0][:64]
        raise RefusedError("unknown_parameter", name, "this route has no parameters; in an id write ? as %3F")


def check_id(name: str, value: str, path_info: str) -> None:
    """Refuse an id of the path that is too long, not UTF-8, or has a zero byte, which Postgres can't keep.

    Args:
        name: of the path's parameter.
        value: as decoded, with replacement characters for bytes that aren't UTF-8.
        path_info: the path as WSGI gives it, one character for each byte.
    """
    if len(value) > ID_BYTES or (len(value) * 4 > ID_BYTES and len(value.encode()) > ID_BYTES):
        raise RefusedError("bad_id", name, f"longer than {ID_BYTES} bytes")
    if "\0" in value:
        raise RefusedError("bad_id", name, "has a zero byte")
    if "\ufffd" in value:
        try:
            path_info.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise RefusedError("bad_id", name, "not UTF-8") from None


def check_kept_id(name: str, value: str, path_info: str) -> None:
    """The same, of an id under which something is kept or erased: nobody else has one with blanks around it,
    since history and events are taken without them, and whoever says so must not be told that it is done."""
    check_id(name, value, path_info)
    if value != value.strip():
        raise RefusedError("bad_id", name, "has blanks around it; history and events are taken without them")


def _parsed(query_string: bytes, names: tuple[str, ...]) -> Query:
    parse = _remembered if len(query_string) <= REMEMBERED_BYTES else _parse
    return parse(query_string, names)


def _parse(query_string: bytes, names: tuple[str, ...], objectives: tuple[str, ...] = OBJECTIVES) -> Query:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except UnicodeDecodeError:
        raise RefusedError("bad_parameter", None, "the query string is not percent-encoded UTF-8") from None
    except ValueError:
        raise RefusedError("bad_parameter", None, "too many parameters") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            raise RefusedError(
                "unknown_parameter", name[:64], f"not a parameter; there are: {', '.join(names)}"
            )
        if name in given:
            raise RefusedError("bad_parameter", name, "given more than once")
        given[name] = value
    return Query(
        n=_n(given["n"]) if "n" in given else N_DEFAULT,
        category=category_of(given["category"]) if "category" in given else None,
        exclude=_ids("exclude", given["exclude"], EXCLUDE_MAX) if "exclude" in given else (),
        placement=placement_of(given["placement"]) if "placement" in given else None,
        objective=objective_of(given["objective"], objectives) if "objective" in given else objectives[0],
        within_days=_within(given["within"]) if "within" in given else 0,
        viewed=_ids("viewed", given["viewed"], VIEWED_MAX) if "viewed" in given else (),
        variant=_variant(given["variant"]) if "variant" in given else None,
    )


_remembered = lru_cache(1024)(_parse)


def _n(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and N_MIN <= int(text) <= N_MAX):
        raise RefusedError("bad_parameter", "n", f"must be a whole number from {N_MIN} to {N_MAX}")
    return int(text)


def _within(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= WITHIN_MAX):
        raise RefusedError("bad_parameter", "within", f"must be a whole number from 0 to {WITHIN_MAX}")
    return int(text)


def placement_of(text: str) -> str:
    """A placement, checked."""
    if not PLACEMENT.fullmatch(text):
        raise RefusedError(
            "bad_parameter", "placement", "must be 1 to 32 of a-z, 0-9, - and _, and begin with a-z or 0-9"
        )
    return text


def objective_of(text: str, objectives: tuple[str, ...] = OBJECTIVES) -> str:
    """An objective, checked."""
    if text not in objectives:
        raise RefusedError("bad_parameter", "objective", f"must be one of {', '.join(objectives)}")
    return text


def _variant(text: str) -> str:
    if not FORCED.fullmatch(text):
        raise RefusedError("bad_parameter", "variant", "must be EXPERIMENT:VARIANT, of one that runs")
    return text


def category_of(text: str) -> str:
    """A category, of a length that one may have."""
    if not 1 <= len(text.encode()) <= CATEGORY_BYTES:
        raise RefusedError("bad_parameter", "category", f"must have 1 to {CATEGORY_BYTES} bytes")
    return text


def _ids(name: str, text: str, most: int) -> tuple[str, ...]:
    ids = tuple(text.split(",")) if text else ()
    if len(ids) > most:
        raise RefusedError("bad_parameter", name, f"more than {most} product ids")
    if len(text.encode()) > IDS_BYTES:
        raise RefusedError("bad_parameter", name, f"more than {IDS_BYTES} bytes in all")
    if any(not 1 <= len(i.encode()) <= ID_BYTES for i in ids):
        raise RefusedError("bad_parameter", name, f"a product id must have 1 to {ID_BYTES} bytes")
    return ids
