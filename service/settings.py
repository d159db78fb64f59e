"""All that can be set about the day; each field is also an environment variable NEXTBEST_<NAME>."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis import ConnectionPool, RedisError


class Settings(BaseSettings):
    """What `nbo-serve run` was told, read once at its start and passed down.

    Attributes:
        store: folder that `nbo-train nightly` publishes to.
        host: address to listen on. Anything but loopback is reachable by others.
        port: TCP port.
        workers: processes that answer.
        redis_url: the shop's own Redis (redis://, rediss:// or unix://). Without it the store gets one.
        redis_timeout_ms: longest wait for Redis, in milliseconds, before answering without it.
        redis_memory_mb: memory of the store's Redis, in megabytes; the lists unused for longest go first.
        list_ttl_s: life of a list in Redis, in seconds; each gets up to a tenth less, not to end all at once.
        first_level_lists: lists that each worker keeps to itself.
        first_level_life_s: life of those, in seconds; 0 keeps none.
        poll_s: how often a worker looks for a new champion, in seconds.
        backpressure: connections that a worker holds at once; more wait in the system's queue.
        stop_timeout_s: how long requests in flight may take to end after SIGTERM, in seconds.
        slow_ms: an answer that took longer, in milliseconds, may get a log line (at most one a second).
        log_level: least important lines to write.
    """

    model_config = SettingsConfigDict(env_prefix="NEXTBEST_", frozen=True, extra="ignore")

    store: Path
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    workers: int = Field(1, ge=1, le=64)
    redis_url: SecretStr | None = None
    redis_timeout_ms: int = Field(30, ge=1, le=1000)
    redis_memory_mb: int = Field(256, ge=16)
    list_ttl_s: int = Field(3600, ge=10, le=86_400)
    first_level_lists: int = Field(2000, ge=1, le=100_000)
    first_level_life_s: float = Field(1.0, ge=0, le=1)
    poll_s: float = Field(1.0, ge=0.05, le=5)
    backpressure: int = Field(256, ge=1)
    stop_timeout_s: int = Field(10, ge=1)
    slow_ms: int = Field(100, ge=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("redis_url")
    @classmethod
    def _usable_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            try:
                ConnectionPool.from_url(value.get_secret_value()).make_connection()  # it doesn't connect yet
            except (ValueError, TypeError, RedisError):  # their texts may hold the password
                usable = "redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH"
                raise ValueError(f"must be a URL such as {usable}") from None
        return value
