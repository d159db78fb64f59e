"""All that can be set about the day; each field is also an environment variable NEXTBEST_<NAME>."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis import ConnectionPool, RedisError

from storage.record.errors import ERASURE_KEY_BYTES, USABLE_URL

ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
RECORD = re.compile(r"(?:postgresql|postgres|postgresql\+psycopg)://|sqlite:///(?!:memory:).")
type Rate = Annotated[float, Field(ge=0, le=1_000_000)]


def _network(text: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is no address or network, such as 127.0.0.1 or 10.0.0.0/8") from None


type Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class Settings(BaseSettings):
    """What `nbo-serve run` was told, read once at its start and passed down.

    Attributes:
        store: folder that `nbo-train nightly` publishes to.
        host: address to listen on. Anything but loopback is reachable by others, and wants a key made first.
        port: TCP port.
        operator_host: address of the operator's own listener.
        operator_port: its TCP port; without one there is no such listener.
        workers: processes that answer.
        redis_url: the shop's own Redis (redis://, rediss:// or unix://). Without it the store gets one.
        redis_timeout_ms: longest wait for Redis, in milliseconds, before answering without it.
        redis_memory_mb: memory of the store's Redis, in megabytes; the lists unused for longest go first.
        redis_lists: whose lists are kept in Redis: `changed`, of customers to whom something happened since
            the night; or `all`, for a store on a disk that is slower to read than Redis.
        list_ttl_s: life of a list in Redis, in seconds; each gets up to a tenth less, not to end all at once.
        rules: a file of rules (docs/rules.md), looked at for changes; without one they are put through the
            operator's listener.
        record_url: the shop's own database for what must last (postgresql://), or sqlite:///FILE. Without it
            the record is a file of the store.
        record_timeout_ms: longest wait for the record, in milliseconds, before what was sent is refused.
        erasure_key: hides the ids of customers who were erased; the same on all machines that use one record.
            Without it the store gets one.
        consent_default: what is allowed by a customer who said nothing yet.
        trade_per_customer_day: purchases and returns of one customer and day that are recorded; more are
            kept aside.
        events_per_customer_day: the same of all other events.
        changes_poll_s: how often a worker looks in the record for what is new of customers, products and
            rules, in seconds.
        promise_days: for how long a customer may redeem an offer with a budget that was shown, in days; then
            it goes to somebody else.
        live_customers: customers who bought since the night that each worker holds; beyond that the first
            of them get the night's list.
        first_level_lists: lists that each worker keeps to itself.
        first_level_life_s: life of those, in seconds; 0 keeps none.
        poll_s: how often a worker looks for a new champion, in seconds.
        trusted_signers: PEM files of Ed25519 public keys, separated by commas; then only versions are served
            that one of them signed.
        backpressure: connections that a worker holds at once; more wait in the system's queue, and if they
            are many and stay, callers are turned away with 503.
        idle_timeout_s: after how long a connection without a request, or with part of one, is closed,
            in seconds.
        stop_timeout_s: how long requests in flight may take to end after SIGTERM, in seconds.
        token_issuer: what customers' tokens must have as `iss`.
        token_audience: what they must have as `aud`.
        origins: pages whose scripts may read answers, such as https://shop.example, separated by commas.
        trusted_proxies: addresses or networks whose X-Forwarded-For is believed, separated by commas.
        key_rate_per_s: calls per second of each API key; 0 for any.
        customer_rate_per_s: calls per second of each customer by tokens; 0 for any.
        address_rate_per_s: calls per second of each address without an API key; 0 for any.
        rate_burst_s: how many seconds' worth of calls may come at once.
        slow_ms: an answer that took longer, in milliseconds, may get a log line (at most one a second).
        traces: send a span of each request by OpenTelemetry, to where OTEL_EXPORTER_OTLP_ENDPOINT says.
        log_level: least important lines to write.
    """

    model_config = SettingsConfigDict(
        env_prefix="NEXTBEST_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    store: Path
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    operator_host: str = "127.0.0.1"
    operator_port: int | None = Field(None, ge=1, le=65535)
    workers: int = Field(1, ge=1, le=64)
    redis_url: SecretStr | None = None
    redis_timeout_ms: int = Field(30, ge=1, le=1000)
    redis_memory_mb: int = Field(256, ge=16, le=1_000_000)
    redis_lists: Literal["changed", "all"] = "changed"
    list_ttl_s: int = Field(3600, ge=10, le=86_400)
    rules: Path | None = None
    record_url: SecretStr | None = None
    record_timeout_ms: int = Field(200, ge=10, le=10_000)
    erasure_key: SecretStr | None = None
    consent_default: Literal["all", "no_personalisation", "nothing"] = "all"
    trade_per_customer_day: int = Field(500, ge=1, le=1_000_000)
    events_per_customer_day: int = Field(2000, ge=1, le=1_000_000)
    changes_poll_s: float = Field(0.25, ge=0.05, le=1)
    promise_days: float = Field(7, gt=0, le=366)
    live_customers: int = Field(100_000, ge=1, le=100_000_000)
    first_level_lists: int = Field(1000, ge=1, le=100_000)
    first_level_life_s: float = Field(1.0, ge=0, le=1)
    poll_s: float = Field(1.0, ge=0.05, le=5)
    trusted_signers: Annotated[tuple[Path, ...], NoDecode] = ()
    backpressure: int = Field(512, ge=1, le=65_535)
    idle_timeout_s: float = Field(10.0, ge=0.1, le=600)
    stop_timeout_s: int = Field(10, ge=1, le=3600)
    token_issuer: str = Field("shop", min_length=1)
    token_audience: str = Field("nextbest", min_length=1)
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    key_rate_per_s: Rate = 0
    customer_rate_per_s: Rate = 5
    address_rate_per_s: Rate = 50
    rate_burst_s: float = Field(10, gt=0, le=3600)
    slow_ms: int = Field(100, ge=1, le=3_600_000)
    traces: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("origins", "trusted_proxies", "trusted_signers", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (
            [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
        )

    @field_validator("origins")
    @classmethod
    def _exact_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin as browsers send it, such as https://shop.example")
        return value

    @field_validator("erasure_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value().encode()) < ERASURE_KEY_BYTES:
            raise ValueError(f"must have at least {ERASURE_KEY_BYTES} bytes")
        return value

    @field_validator("record_url")
    @classmethod
    def _usable_record(cls, value: SecretStr | None) -> SecretStr | None:
        """By its beginning alone, since what reads all of it takes long to load."""
        if value and not RECORD.match(value.get_secret_value()):
            raise ValueError(USABLE_URL)
        return value

    @field_validator("redis_url")
    @classmethod
    def _usable_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            try:
                connection = ConnectionPool.from_url(value.get_secret_value()).make_connection()
                host = getattr(connection, "host", None)  # none of a socket
                if host:
                    host.encode("idna")  # else each look for its address would fail
            except (ValueError, TypeError, RedisError):  # their texts may hold the password
                usable = "redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH"
                raise ValueError(f"must be a URL such as {usable}") from None
        return value
