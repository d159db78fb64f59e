"""For all tests: the same examples each time, however long one takes, logs that end, and a real Postgres."""

import gc
import os
import resource
import signal
from collections.abc import Generator, Iterator
from unittest.mock import patch

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.data.own_postgres import own_postgres

# Machines are busy at times, and what passed passes again: `--hypothesis-profile chance` tries other examples
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("chance", PATIENT)
settings.register_profile("nextbest", PATIENT, derandomize=True, database=None)
settings.load_profile("nextbest")
FILES = 4096  # the threads of an app end with the process, and so do the 31 open files of each version in it
SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
if SOFT < FILES <= HARD:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, HARD))
# Under nohup, or behind a shell's &, these are ignored, and what the tests start inherits that.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of collected tests stay: `let_go` has nothing to look for among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def fresh_logs() -> Iterator[None]:
    """A command that ran in this process wrote its logs to what pytest captured, which is closed now."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="module")
def let_go() -> Iterator[None]:
    """Versions and records of a module's tests lie in cycles with open files.

    What the modules before left is looked at no more; at their own end their last test still held something.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(autouse=True, scope="session")
def no_power_cut() -> Iterator[None]:
    """To wait for the disk is against a power cut, and no test has one; processes of their own do wait."""
    with patch.object(os, "fsync", lambda _handle: None):
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A Postgres of the tests' own."""
    with own_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # as `no_power_cut`
            connection.execute("SELECT pg_reload_conf()")
        yield url
