"""Benchmarks run seldom, so it is seen here that what they import is still there."""

import importlib
import pkgutil

import pytest

from tests import benchmarks

ELSEWHERE = {"rectools_lists"}  # runs in an environment of its own
NAMES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in ELSEWHERE]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    importlib.import_module(f"tests.benchmarks.{name}")
