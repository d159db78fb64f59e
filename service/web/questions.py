"""What is asked in a body: what goes with a cart, or the lists of many customers. Limits are the query's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.errors import RefusedError
from service.web.parameters import (
    EXCLUDE_MAX,
    ID_BYTES,
    KNOWN,
    N_DEFAULT,
    N_MAX,
    N_MIN,
    OBJECTIVES,
    Query,
    category_of,
    objective_of,
    placement_of,
)

CART_MAX = 100
CUSTOMERS_MAX = 1000
PRODUCTS_MAX = 20_000  # of all lists of one answer: 9 MB, and 0.24 s in which a worker does nothing else
OF_CART = ("product_ids", "customer_id", *KNOWN)
OF_MANY = ("customer_ids", "objective", *KNOWN)


@dataclass(frozen=True, slots=True)
class CartQuestion:
    """What goes with a cart. The query excludes what is in it."""

    product_ids: tuple[str, ...]
    customer_id: str | None
    query: Query


@dataclass(frozen=True, slots=True)
class ManyQuestion:
    """The same of many customers. What stands in place of an id may be anything: each is looked at apart."""

    customer_ids: list[object]
    query: Query


def cart_question(body: object) -> CartQuestion:
    """A cart, checked.

    Raises:
        RefusedError: with the key at fault.
    """
    given = _object(body, OF_CART)
    product_ids = _ids("product_ids", given.get("product_ids"), 1, CART_MAX)
    customer_id = given.get("customer_id")
    if customer_id is not None:
        customer_id = id_of("customer_id", customer_id)
    excluded = _ids("exclude", given.get("exclude", []), 0, EXCLUDE_MAX)
    return CartQuestion(product_ids, customer_id, _query(given, product_ids + excluded))


def many_question(body: object) -> ManyQuestion:
    """Many customers; their ids are not checked yet. Raises as `cart_question`."""
    given = _object(body, OF_MANY)
    customer_ids = given.get("customer_ids")
    if not isinstance(customer_ids, list) or not 1 <= len(customer_ids) <= CUSTOMERS_MAX:
        raise RefusedError("bad_body", "customer_ids", f"must be a list of 1 to {CUSTOMERS_MAX} ids")
    query = _query(given, _ids("exclude", given.get("exclude", []), 0, EXCLUDE_MAX))
    if query.n > (most := PRODUCTS_MAX // len(customer_ids)):
        raise RefusedError("bad_body", "n", f"with so many customers at most {most}")
    return ManyQuestion(customer_ids, query)


def id_of(name: str, value: object) -> str:
    """An id of a body.

    Raises:
        RefusedError: it isn't one.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= ID_BYTES or len(_utf8(value)) > ID_BYTES:
        raise RefusedError("bad_id", name, f"must be a text of 1 to {ID_BYTES} bytes")
    if "\0" in value:
        raise RefusedError("bad_id", name, "has a zero byte")
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return b"\0" * (ID_BYTES + 1)


def _object(body: object, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RefusedError("bad_body", None, f"must be an object; it may have {', '.join(names)}")
    for name in body:
        if name not in names:
            raise RefusedError("bad_body", name[:64], f"no such key; there are: {', '.join(names)}")
    return body


def _ids(name: str, value: object, least: int, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise RefusedError("bad_body", name, f"must be a list of {least} to {most} product ids")
    return tuple(id_of(name, one) for one in value)


def _query(given: dict[str, Any], exclude: tuple[str, ...]) -> Query:
    n = given.get("n", N_DEFAULT)
    if type(n) is not int or not N_MIN <= n <= N_MAX:
        raise RefusedError("bad_parameter", "n", f"must be a whole number from {N_MIN} to {N_MAX}")
    return Query(
        n=n,
        category=_text(given, "category", category_of),
        exclude=exclude,
        placement=_text(given, "placement", placement_of),
        objective=_text(given, "objective", objective_of) or OBJECTIVES[0],
    )


def _text(given: dict[str, Any], name: str, check: Callable[[str], str]) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(_utf8(value)) > ID_BYTES:
        raise RefusedError("bad_parameter", name, f"must be a text of at most {ID_BYTES} bytes")
    return check(value)
