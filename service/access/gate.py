"""Decides about a call before anything is looked up: who asks, may they ask this, and not too often.

It knows no Flask, and is made for the call whose credential is known: one hash and a few look-ups. The hash
is BLAKE2b: OpenSSL's SHA-256 took three times as long in a request, 4.5 us, though not in a tight loop.
"""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from service.access.addresses import Networks, address_of, is_loopback
from service.access.callers import Caller, Callers
from service.access.limits import Buckets
from service.access.routes import Customers, Route, Scope
from service.access.tokens import TokenError
from service.errors import Kind, RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RETIRING_LINE_S = 60.0
NO_KEY_YET = (
    "until the first key is made only calls to localhost or 127.0.0.1 are answered: "
    "make one with `nbo-serve keys create`"
)
NO_KEY_YET_NO_PAGE = (
    "until the first key is made nothing is taken from a page of another host, unless NEXTBEST_ORIGINS names "
    "it: make one with `nbo-serve keys create`, and give pages tokens"
)
NO_VALID_CREDENTIAL = "send a valid API key or customer's token in the header Authorization: Bearer ..."
log = structlog.get_logger()


class KnownCallers(Protocol):
    """Who holds the callers that are known now."""

    @property
    def current(self) -> Callers: ...


class GateCounters(Protocol):
    """Who counts what was turned away."""

    def turned_away(self, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Buckets of one worker: for each API key, each customer of a token, each address. None: no limit."""

    key: Buckets | None = None
    customer: Buckets | None = None
    address: Buckets | None = None


class Gate:
    """The gate of one listener.

    Args:
        callers: who is known now.
        limits: how often each may call.
        proxies: networks whose `X-Forwarded-For` is believed.
        is_operators: of the operator's listener, where tokens are nothing; else of the public one, where the
            operator's routes aren't there.
        listens_on: the address or name that it was told to listen on.
        origins: whose pages may send something before there is a key.
        clock: Unix seconds.
    """

    def __init__(
        self,
        callers: KnownCallers,
        limits: Limits,
        proxies: Networks,
        counters: GateCounters,
        *,
        is_operators: bool = False,
        listens_on: str = "localhost",
        origins: Container[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._callers, self._limits, self._proxies = callers, limits, proxies
        self._counters, self._is_operators, self._clock = counters, is_operators, clock
        self._listens_on, self._origins = listens_on.lower(), origins
        self._next_line_s: dict[str, float] = {}

    @property
    def is_open(self) -> bool:
        """Whether no key was made yet, and everybody on this machine may call everything."""
        return self._callers.current.is_open

    def check(self, environ: "WSGIEnvironment", route: Route, customer_id: str | None) -> Caller | None:
        """Return who calls, if the call may go on; None where nobody needs a credential.

        Args:
            customer_id: of the path, where the route has one.
        Raises:
            RefusedError: it may not. Neither status nor text depend on whether the id exists.
        """
        callers = self._callers.current
        if callers.is_open:
            if route.scope is not None:
                self._check_host(environ)
                self._check_page(environ)
            return None
        if route.scope is None or (route.scope is Scope.OPERATE) is not self._is_operators:
            self._pass_without_key(environ, route)
            return None
        header = environ.get("HTTP_AUTHORIZATION", "")
        digest = blake2b(header.encode("utf-8", "replace")).digest()
        caller = callers.known.get(digest) or callers.by_key(header, digest)
        now_s = self._clock()
        if caller is None or caller.customer_id is not None:
            caller = self._customer(callers, caller, header, digest, environ)
        elif caller.expires_s <= now_s:
            self._count_address(environ)
        elif self._limits.key is not None:
            self._count(self._limits.key, caller.key_id, "key_limit")
        if caller.expires_s <= now_s:
            self._unauthorized("expired")
        if caller.is_retiring:
            self._note_retiring(caller)
        name = route.name
        if name not in caller.may and not (name in caller.may_own and customer_id == caller.customer_id):
            self._forbidden(caller, route)
        if "HTTP_ORIGIN" in environ and caller.customer_id is None and not _is_own_page(environ, route):
            self.refuse("browser", "an API key may not be used from a browser, a token may")
        return caller

    def refuse(self, why: str, reason: str) -> NoReturn:
        """Turn away a caller who is known and may not do this; `why` is for the counter."""
        self._turn_away("forbidden", why, reason)

    def check_may_force(self, caller: Caller | None) -> None:
        """Turn away a caller who may not say which variant of an experiment answers.

        Args:
            caller: as `check` returned it.
        """
        if caller is not None and not caller.is_operator:
            self.refuse("forced_variant", "a variant is forced with a key of the scope operate only")

    def refuse_other_id(self) -> NoReturn:
        """Turn away a customer who asks about another."""
        self.refuse("other_id", "a customer's token may ask for nobody else")

    def count_lost(self, environ: "WSGIEnvironment") -> None:
        """Count a call that no route is for: such calls look for one.

        Raises:
            RefusedError: there were too many from this address.
        """
        if not self.is_open:
            self._count_address(environ)

    def _check_host(self, environ: "WSGIEnvironment") -> None:
        """Turn away a call to another host, while everybody on this machine may call: a web page reaches it
        under a name of its own that points to loopback, and may read what its own host says."""
        host = environ.get("HTTP_HOST")  # browsers say one
        if host and not is_loopback(host) and host.partition(":")[0].lower() != self._listens_on:
            self._turn_away("misdirected", "host", NO_KEY_YET)

    def _check_page(self, environ: "WSGIEnvironment") -> None:
        """Turn away what a page from elsewhere sends, while everybody on this machine may call: it can't read
        what its browser gets from here, but a body without a type is sent for it, and would be obeyed."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return
        if not _is_of_own_host(environ) and origin not in self._origins:
            self._turn_away("forbidden", "page", NO_KEY_YET_NO_PAGE)

    def _pass_without_key(self, environ: "WSGIEnvironment", route: Route) -> None:
        if route.is_limited:
            self._count_address(environ)
        if route.scope is not None:
            raise RefusedError("not_found", None, "GET / lists the routes")

    def _customer(
        self, callers: Callers, caller: Caller | None, header: str, digest: bytes, environ: "WSGIEnvironment"
    ) -> Caller:
        """The customer of a token. Counts for the address before a signature is checked, which costs most."""
        self._count_address(environ)
        if caller is None:
            caller = self._by_token(callers, header, digest)
        if self._limits.customer is not None and caller.customer_id is not None:
            self._count(self._limits.customer, caller.customer_id, "customer_limit")
        return caller

    def _by_token(self, callers: Callers, header: str, digest: bytes) -> Caller:
        if not header or self._is_operators:
            self._unauthorized("no_credential")
        try:
            return callers.by_token(header, digest, self._clock())
        except TokenError as err:
            self._line("", 1.0, "a key or token was refused", why=str(err))
            self._unauthorized("credential")

    def _forbidden(self, caller: Caller, route: Route) -> NoReturn:
        if caller.customer_id is None:
            self.refuse("scope", f"this key may not: that needs the scope {route.scope}")
        if route.customers is Customers.NOTHING:
            self.refuse("not_for_tokens", f"that needs an API key of the scope {route.scope}, not a token")
        self.refuse_other_id()

    def _unauthorized(self, why: str) -> NoReturn:
        self._turn_away("unauthorized", why, NO_VALID_CREDENTIAL)

    def _count_address(self, environ: "WSGIEnvironment") -> None:
        if self._limits.address is not None:
            self._count(self._limits.address, address_of(environ, self._proxies), "address_limit")

    def _count(self, buckets: Buckets, who: str, why: str) -> None:
        wait_s = buckets.take(who)
        if wait_s:
            self._turn_away("too_many_requests", why, "ask less often", wait_s)

    def _turn_away(self, kind: Kind, why: str, reason: str, retry_after_s: int | None = None) -> NoReturn:
        self._counters.turned_away(why)
        raise RefusedError(kind, None, reason, retry_after_s)

    def _note_retiring(self, caller: Caller) -> None:
        self._line(caller.key_id, RETIRING_LINE_S, "a retiring key is still used", key=caller.key_id)

    def _line(self, topic: str, gap_s: float, event: str, **values: str) -> None:
        """A log line about a topic, unless there was one within `gap_s`."""
        now_s = self._clock()
        if now_s >= self._next_line_s.get(topic, 0.0):
            self._next_line_s[topic] = now_s + gap_s
            log.warning(event, **values)


def _is_own_page(environ: "WSGIEnvironment", route: Route) -> bool:
    """Whether the page that is there for a route asks: one of the host that is asked."""
    return route.has_page and _is_of_own_host(environ)


def _is_of_own_host(environ: "WSGIEnvironment") -> bool:
    """Whether a page of the host that is asked asks."""
    return bool(environ["HTTP_ORIGIN"].partition("://")[2] == environ.get("HTTP_HOST"))
