"""Every route and who may call it. With a route that isn't in this table the app refuses to start.

`tests/contract/test_access_matrix.py` and `test_access_operators.py` try each line with every sort of caller.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from models.errors import NextbestError


class Scope(StrEnum):
    """What an API key may be for."""

    RECOMMEND = "recommend"
    BROWSE = "browse"
    EVENTS = "events"
    PRODUCTS = "products"
    CUSTOMERS = "customers"
    OPERATE = "operate"


MEANING = {
    Scope.RECOMMEND: "recommendations and offers of any customer",
    Scope.BROWSE: "what sells and what goes with a product; nothing about a person",
    Scope.EVENTS: "what customers did: purchases, returns, views, clicks, answers",
    Scope.PRODUCTS: "stock, price and margin of products",
    Scope.CUSTOMERS: "what customers allow, all that is held of them, and their erasure",
    Scope.OPERATE: "the operator's listener; on the public one recommendations, also of a forced variant",
}


class Customers(Enum):
    """What a customer's token may ask of a route."""

    NOTHING = "nothing"
    ANYTHING = "anything"
    OWN_ID = "its own id"  # the route's parameter `customer_id`
    OWN_BODY = "what is its own, which the route finds in the body"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        name: of the route in Flask (its endpoint).
        scope: what an API key needs; None: anybody may call, without a key or token.
        customers: what a customer's token may ask.
        is_limited: calls without an API key count for the limit of their address.
        is_for_operators: an operator's key may call it too, which has no other right on the public listener.
        has_page: a page of the same listener asks it, with the key that somebody typed there.
    """

    name: str
    scope: Scope | None
    customers: Customers = Customers.NOTHING
    is_limited: bool = True
    is_for_operators: bool = False
    has_page: bool = False


ROUTES = {
    route.name: route
    for route in (
        Route("recommend", Scope.RECOMMEND, Customers.OWN_ID, is_for_operators=True),  # to force a variant
        Route("offers", Scope.RECOMMEND, Customers.OWN_ID),
        Route("recommend_many", Scope.RECOMMEND),
        Route("reorder", Scope.RECOMMEND, Customers.OWN_ID),
        Route("basket", Scope.RECOMMEND, Customers.OWN_BODY),
        Route("popular", Scope.BROWSE, Customers.ANYTHING),
        Route("similar", Scope.BROWSE, Customers.ANYTHING),
        Route("events", Scope.EVENTS, Customers.OWN_BODY),
        Route("put_product", Scope.PRODUCTS),
        Route("get_customer", Scope.CUSTOMERS, Customers.OWN_ID),  # a token gets the consent alone
        Route("put_customer", Scope.CUSTOMERS, Customers.OWN_ID),
        Route("delete_customer", Scope.CUSTOMERS),
        Route("metrics", Scope.OPERATE),
        Route("rules", Scope.OPERATE),
        Route("put_rules", Scope.OPERATE),
        Route("rules_versions", Scope.OPERATE),
        Route("roll_back_rules", Scope.OPERATE),
        Route("try_rules", Scope.OPERATE, has_page=True),
        Route("preview", None),
        Route("live", None, is_limited=False),
        Route("ready", None, is_limited=False),
        Route("index", None),
        Route("openapi", None),
        Route("docs", None),
        Route("docs_page.show", None),
    )
}


class UndeclaredRouteError(NextbestError):
    """The app has a route that the table doesn't know."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"route {name} says nowhere who may call it: add it to service/access/routes.py")


def open_to_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Names of the routes that an API key with these scopes may call."""
    return frozenset(
        route.name
        for route in ROUTES.values()
        if route.scope in scopes or (route.is_for_operators and Scope.OPERATE in scopes)
    )


def open_to_customers(may: Customers) -> frozenset[str]:
    """Names of the routes of which a customer's token may ask this."""
    return frozenset(route.name for route in ROUTES.values() if route.customers is may)
