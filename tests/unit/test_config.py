"""nextbest.toml: what is wrong in it is named before anything is read."""

from pathlib import Path

import pytest

from models.errors import BadConfigError
from models.registry import VARIANTS
from tests.data.nights import run
from training.config import NightConfig, load_config


def refusal(folder: Path, content: str | bytes, horizon_days: int | None = None) -> str:
    path = folder / "nextbest.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadConfigError) as refused:
        load_config(path, horizon_days=horizon_days)
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_without_a_file_the_ranker_is_published_and_blend_is_fitted_before_it() -> None:
    config = load_config(None)
    assert config == NightConfig()
    assert (config.night.default_variant, config.night.horizon_days) == ("ranker", 7)
    assert list(config.variant_options())[-2:] == ["blend", "ranker"]
    assert {"popular", "repeat", "due", "item_item", "als"} <= set(config.variant_options())
    assert config.night.time_budget_s == 0


def test_a_mark_that_windows_editors_put_first_is_no_text_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nextbest.toml"
    path.write_bytes("\ufeff[night]\r\nhorizon_days = 3\r\n".encode())
    assert load_config(path).night.horizon_days == 3


def test_what_is_given_on_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nextbest.toml"
    path.write_text("[night]\nhorizon_days = 3\ntime_budget_s = 60\n")
    assert load_config(path).night.time_budget_s == 60
    night = load_config(path, horizon_days=5, time_budget_s=0).night
    assert (night.horizon_days, night.time_budget_s) == (5, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "[night]\nhorizon_dayz = 3",
            "night.horizon_dayz: no such option; there are: horizon_days, variants, ",
        ),
        ("[nights]\nhorizon_days = 3", "nights: no such section; there are: history, night, gate, "),
        ("nights = 3", "nights: no such section; there are: history, night, gate, "),
        ("[history.purchases]\nfile = 'x'", "history.purchases.file: no such option; there are: path, "),
        ("night = 3", "night: must be a section of options"),
        ("variants = 3", "variants: must be a section of options"),
        ("[variants]\nals = 3", "variants.als: must be a section of options"),
        (
            "[night]\nhorizon_days = 'a week'",
            "night.horizon_days: Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            '[history.purchases]\nexclude_products = "POST"',
            "history.purchases.exclude_products: must be a list, in square brackets",
        ),
        ("[variants.ranker.trees]\nleaves = 1", "[variants.ranker.trees] leaves: 1 is not from 2 to 131072"),
        ("[night]\nhorizon_days = 0", "night.horizon_days: Input should be greater than or equal to 1"),
        ("[gate]\nmargin = 1", "gate.margin: Input should be less than 1"),
        (
            '[night]\nvariants = ["popular", "item_item", "magic"]',
            f"night: unknown variant 'magic'; there are: {', '.join(VARIANTS)}",
        ),
        (
            '[night]\nvariants = ["popular", "blend"]',
            "night: variants must hold 'item_item', which every version needs",
        ),
        (
            '[night]\nvariants = ["popular", "item_item"]',
            "night: default_variant 'ranker' is not among variants",
        ),
        ("[variants.magic]\na = 1", f"variant 'magic': unknown; there are: {', '.join(VARIANTS)}"),
        ("[history]\ntimezone = 'Mars/Base'", "history: no time zone 'Mars/Base'"),
        ("[night", "can't be read: "),
        (b"[history]\nencoding = '\xe9'", "can't be read: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    found = refusal(tmp_path, content)
    assert found.startswith(message) or found.startswith(message.replace("history:", "history.timezone:"))


def test_an_unknown_option_of_a_variant_is_named_beside_those_that_there_are(tmp_path: Path) -> None:
    found = refusal(tmp_path, "[variants.popular]\nhalf_live_days = 3")
    message, _, able = found.partition("; there are: ")
    assert message == "[variants.popular] half_live_days: unknown"
    assert "half_life_days" in able.split(", ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError) as refused:
        load_config(tmp_path / "gone.toml")
    assert str(refused.value) == f"{tmp_path / 'gone.toml'}: can't be read: No such file or directory"


def test_the_horizon_of_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nextbest.toml"
    path.write_text("[night]\nhorizon_days = 3\nkeep_versions = 2")
    assert load_config(path).night.horizon_days == 3
    both = load_config(path, horizon_days=14).night
    assert (both.horizon_days, both.keep_versions) == (14, 2)
    assert load_config(None, horizon_days=14).night.horizon_days == 14


def test_a_horizon_beside_a_night_that_is_no_section_is_still_a_plain_refusal(tmp_path: Path) -> None:
    assert refusal(tmp_path, "night = 3", horizon_days=7) == "night: must be a section of options"


def test_a_file_is_utf8_whatever_the_machine_speaks(tmp_path: Path) -> None:
    path = tmp_path / "nextbest.toml"
    path.write_bytes('[history.purchases.columns]\ncustomer_id = "Kundennummer für Käufer"'.encode())
    assert load_config(path).history.purchases.columns == {"customer_id": "Kundennummer für Käufer"}


def test_a_file_beside_the_history_that_nobody_named_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "nextbest.toml").write_text('[record]\nconsent_default = "nothing"\n')
    with pytest.raises(BadConfigError, match="give --config"):
        load_config(None, data=str(tmp_path))
    named = load_config(tmp_path / "nextbest.toml", data=str(tmp_path))
    assert named.record.consent_default == "nothing"
    assert load_config(None, data="sqlite:///shop.db").record.consent_default == "all"


@pytest.mark.parametrize(
    "command",
    [
        ("nightly", "--store", "store"),
        ("evaluate", "--out", "out"),
        ("report", "--out", "out"),
        ("tune", "--variant", "popular", "--study", "study.db", "--out", "tuned.toml"),
    ],
)
def test_so_is_none_by_any_command_of_the_night(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nextbest.toml").write_text("")
    ran = run(command[0], "--data", tmp_path, *command[1:])
    assert (ran.code, "is read only if it is named" in ran.err) == (2, True), ran.err
