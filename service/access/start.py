"""From settings to gates: whether a service may start with the keys there are, and a worker's own gate."""

import time

import structlog

from models.errors import NextbestError
from service.access.callers import KNOWN_MAX
from service.access.follower import CallersFollower
from service.access.gate import Gate, Limits
from service.access.limits import Buckets
from service.access.tokens import Issued
from service.settings import Settings
from service.telemetry.metrics import Metrics
from storage.keyring import KEYRING, Keyring

log = structlog.get_logger()


class NoKeyError(NextbestError):
    """The service would answer everybody at an address that others reach."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"others can reach {host}, and no key was made yet: make one with `nbo-serve keys create`, "
            "or listen on 127.0.0.1"
        )


def may_be_open(keyring: Keyring, reachable: list[str]) -> bool:
    """Whether everybody may call everything, which is so until the first key is made.

    Args:
        reachable: addresses that will be listened on and aren't loopback.
    Raises:
        NoKeyError: that would be so, and others reach the service.
    """
    if not keyring.is_empty:
        return False
    if reachable:
        raise NoKeyError(reachable[0])
    log.warning("no key was made yet: whoever reaches this address gets every answer, without limits")
    return True


def say_what_is_missing(keyring: Keyring, settings: Settings) -> None:
    """Log what a service with keys was probably not meant to be without."""
    if (settings.store / KEYRING).stat().st_mode & 0o077:
        log.warning("others can read the keys: chmod 600", file=str(settings.store / KEYRING))
    if settings.operator_port is None:
        log.info(
            "no listener for the operator: /metrics is nowhere, NEXTBEST_OPERATOR_PORT would give it a place"
        )
    elif not any("operate" in key.scopes for key in keyring.api_keys):
        log.warning("no key has the scope operate: nobody can call the operator's listener")
    if keyring.token_keys and settings.address_rate_per_s and not settings.trusted_proxies:
        log.warning("without NEXTBEST_TRUSTED_PROXIES all customers behind a proxy count as one address")


def start_gate(settings: Settings, metrics: Metrics, *, is_open: bool, is_operators: bool = False) -> Gate:
    """The gate of a worker, which follows the store's keyring from now on.

    Args:
        is_open: no key was made when the service started, and it may answer everybody until one is.
        is_operators: for the operator's listener.
    """
    issued = Issued(settings.token_issuer, settings.token_audience)
    callers = CallersFollower(settings.store, issued, metrics, may_be_open=is_open, poll_s=settings.poll_s)
    callers.start()
    workers = 1 if is_operators else settings.workers

    def buckets(rate_per_s: float) -> Buckets | None:
        share = rate_per_s / workers
        return Buckets(share, share * settings.rate_burst_s, KNOWN_MAX, time.monotonic) if share else None

    limits = Limits(
        key=buckets(settings.key_rate_per_s),
        customer=buckets(settings.customer_rate_per_s),
        address=buckets(settings.address_rate_per_s),
    )
    return Gate(
        callers,
        limits,
        settings.trusted_proxies,
        metrics,
        is_operators=is_operators,
        listens_on=settings.operator_host if is_operators else settings.host,
        origins=() if is_operators else frozenset(settings.origins),
    )
