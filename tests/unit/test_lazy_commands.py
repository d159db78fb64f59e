"""A command loads what it needs, and a line of help loads no command."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import experiments.cli
import service.cli
import training.cli
from storage.lazy_commands import LazyCommands

GROUPS: dict[str, LazyCommands] = {
    "training.cli.commands": training.cli.commands,
    "service.cli.main": service.cli.main,
    "experiments.cli.commands": experiments.cli.commands,
}
# What takes a quarter of a second and more, and is there for one step of a night, of tuning or of a report.
HEAVY = ("alembic", "lightgbm", "matplotlib", "optuna", "scipy.optimize", "scipy.stats", "tea_tasting")


def loaded(code: str) -> set[str]:
    """The modules that a new process has after this code."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('loaded', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(shown.partition("loaded ")[2].split())


@pytest.mark.parametrize("name", GROUPS)
def test_help_lists_all_commands_and_loads_none(name: str) -> None:
    group = GROUPS[name]
    module, _, attribute = name.rpartition(".")
    found = loaded(
        f"from {module} import {attribute} as group\ngroup.main(['--help'], standalone_mode=False)"
    )
    assert module in found
    assert not found & {lazy.module for lazy in group.lazy.values()}
    assert not found & {*HEAVY, "flask", "implicit", "numpy", "redis", "sqlalchemy"}


@pytest.mark.parametrize("name", GROUPS)
def test_a_line_of_help_is_the_beginning_of_the_commands_own(name: str) -> None:
    group = GROUPS[name]
    shown = " ".join(group.get_help(click.Context(group, terminal_width=110)).split())
    for command, lazy in group.lazy.items():
        own = group.get_command(click.Context(group), command)
        assert own and own.help
        assert " ".join(own.help.split()).startswith(lazy.line.removesuffix("."))
        assert f"{command} {lazy.line}" in shown


@pytest.mark.parametrize("path", [["keys"], ["token-keys"], ["rules"], ["record"], ["record", "quarantine"]])
def test_a_line_of_a_groups_help_is_a_whole_sentence(path: list[str]) -> None:
    shown = CliRunner().invoke(service.cli.main, [*path, "--help"], terminal_width=80).output
    lines = shown.partition("Commands:")[2]
    assert "list" in lines or "status" in lines or "check" in lines
    assert "..." not in lines


def test_no_command_loads_what_one_step_of_one_of_them_needs() -> None:
    found = loaded(
        "from training.cli import COMMANDS, commands\nfor name in COMMANDS: commands.get_command(None, name)"
    )
    assert "training.night" in found
    assert not found & set(HEAVY)


def test_to_list_or_end_an_experiment_loads_no_statistics() -> None:
    found = loaded(
        "from experiments.cli import commands\nfor name in ('list', 'pause', 'stop', 'holdout'): "
        "commands.get_command(None, name)"
    )
    assert "experiments.commands.running" in found
    assert not found & set(HEAVY)


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("training.cli.commands", ["versions", "promote", "rollback"]),
        ("service.cli.main", ["keys", "token-keys", "token"]),
    ],
)
def test_a_command_that_asks_no_record_loads_no_sql(name: str, commands: list[str]) -> None:
    module, _, attribute = name.rpartition(".")
    found = loaded(
        f"from {module} import {attribute} as group\n"
        f"for command in {commands}: assert group.get_command(None, command)"
    )
    assert "storage.store_option" in found
    assert "sqlalchemy" not in found


def test_a_setting_that_is_wrong_is_told_before_the_service_is_loaded() -> None:
    found = loaded("from service.cli import main\nmain.get_command(None, 'run')")
    assert "service.settings" in found
    assert not found & {"service.processes.server", "flask", "numpy", "sqlalchemy"}
