"""What the service is told wrongly is refused at its start, in one line, without secrets."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr, ValidationError

from service.cli import main
from service.commands.run import misspelt
from service.settings import Settings


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "http://10.0.0.7:6379",
        "redis:10.0.0.7",
        "redis://:s3cret@10.0.0.7:port/0",
        "redis://:s3cret@10.0.0.7:6379?no_such_option=1",
        "redis://:s3cret@redis..svc:6379",
    ],
)
def test_a_redis_url_that_cannot_be_used_ends_the_command_with_2_and_one_line(
    url: str, tmp_path: Path
) -> None:
    ended = CliRunner().invoke(main, ["run", "--store", str(tmp_path)], env={"NEXTBEST_REDIS_URL": url})
    assert ended.exit_code == 2
    assert ended.output == (
        "NEXTBEST_REDIS_URL: must be a URL such as redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH\n"
    )


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://u:p@h:6379/1", "rediss://h:6380/0", "unix:///run/r.sock", ""]
)
def test_the_three_kinds_of_redis_url_are_taken_and_an_empty_one_is_none(url: str, tmp_path: Path) -> None:
    found = Settings(store=tmp_path, redis_url=SecretStr(url)).redis_url
    assert found is not None
    assert found.get_secret_value() == url


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
)
def test_no_number_is_too_large_for_what_is_done_with_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="less than or equal to"):
        Settings(store=tmp_path, **{name: 10**18})  # type: ignore[arg-type]


def test_an_empty_variable_is_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "OPERATOR_PORT", "RECORD_URL", "ERASURE_KEY", "ORIGINS", "STORE"):
        monkeypatch.setenv(f"NEXTBEST_{name}", "")
    with pytest.raises(ValidationError, match="Field required"):  # the working directory is no store
        Settings()  # type: ignore[call-arg]
    found = Settings(store=Path("shop"))
    assert (found.host, found.operator_port, found.record_url, found.origins) == ("127.0.0.1", None, None, ())


def test_a_refused_setting_does_not_show_the_password(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(store=tmp_path, redis_url=SecretStr("foo://:s3cret@h"))
    assert "s3cret" not in str(caught.value)


def test_lists_are_given_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTBEST_ORIGINS", "https://shop.example, http://localhost:3000,https://[::1]:8443")
    monkeypatch.setenv("NEXTBEST_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,fd00::/8")
    settings = Settings(store=tmp_path)
    assert settings.origins == ("https://shop.example", "http://localhost:3000", "https://[::1]:8443")
    assert [str(network) for network in settings.trusted_proxies] == [
        *("127.0.0.1/32", "10.0.0.0/8", "fd00::/8")
    ]
    monkeypatch.setenv("NEXTBEST_ORIGINS", "")
    assert Settings(store=tmp_path).origins == ()


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "https://*.shop.example", "https://shop.example/", "https://shop.example/page"),
        *(
            "shop.example",
            "HTTPS://shop.example",
            "https://Shop.example",
            "https://u@shop.example",
            "https://",
        ),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["run", "--store", str(tmp_path)], env={"NEXTBEST_ORIGINS": origin})
    assert ended.exit_code == 2
    assert ended.output.startswith(f"NEXTBEST_ORIGINS: {origin!r} is no origin as browsers send it")


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.1/8", "10.0.0.0/33"])
def test_proxies_that_are_no_networks_are_refused(proxies: str, tmp_path: Path) -> None:
    environment = {"NEXTBEST_TRUSTED_PROXIES": proxies}
    ended = CliRunner().invoke(main, ["run", "--store", str(tmp_path)], env=environment)
    assert ended.exit_code == 2
    what = f"{proxies!r} is no address or network, such as 127.0.0.1 or 10.0.0.0/8"
    assert ended.output == f"NEXTBEST_TRUSTED_PROXIES: {what}\n"


def test_a_short_erasure_key_is_refused_by_its_bytes(tmp_path: Path) -> None:
    environment = {"NEXTBEST_ERASURE_KEY": "é" * 7}
    ended = CliRunner().invoke(main, ["run", "--store", str(tmp_path)], env=environment)
    assert (ended.exit_code, ended.output) == (2, "NEXTBEST_ERASURE_KEY: must have at least 16 bytes\n")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/x",  # pragma: allowlist secret
        "sqlite://",
        "sqlite:///",
        "/srv/record.db",
    ],
)
def test_a_record_that_is_neither_postgres_nor_a_file_is_refused_by_the_setting(
    url: str, tmp_path: Path
) -> None:
    ended = CliRunner().invoke(main, ["run", "--store", str(tmp_path)], env={"NEXTBEST_RECORD_URL": url})
    what = "must be sqlite:///FILE or postgresql://HOST/DATABASE"
    assert (ended.exit_code, ended.output) == (2, f"NEXTBEST_RECORD_URL: {what}\n")


@pytest.mark.parametrize(
    "url", ["postgresql://h/x", "postgres://u:p@h:5432/x", "postgresql+psycopg://h/x", "sqlite:////r.db", ""]
)
def test_a_record_may_be_a_postgres_or_a_file(url: str, tmp_path: Path) -> None:
    told = Settings(store=tmp_path, record_url=SecretStr(url)).record_url
    assert told is not None
    assert told.get_secret_value() == url


def test_the_command_says_its_version() -> None:
    ended = CliRunner().invoke(main, ["--version"])
    assert ended.exit_code == 0
    assert "version" in ended.output


def test_a_misspelt_variable_is_seen_and_those_of_others_are_none() -> None:
    others = [
        "NEXTBEST_KEY",
        "NEXTBEST_OPERATOR_KEY",
        "NEXTBEST_SIGNING_KEY",
        "NEXTBEST_SHOP",
        "NEXTBEST_DATA",
    ]
    others += ["NEXTBEST_EXIT_CODE", "NEXTBEST_MESSAGE", "NEXTBEST_TOKEN_KEY_ID", "NEXTBEST_TOKEN_KEY_FILE"]
    names = [*others, "PATH", "NEXTBEST_PORT", "NEXTBEST_CONSENT_DEFALT", "NEXTBEST_TRUSTED_PROXY"]
    assert list(misspelt(names)) == [
        ("NEXTBEST_CONSENT_DEFALT", "NEXTBEST_CONSENT_DEFAULT"),
        ("NEXTBEST_TRUSTED_PROXY", "NEXTBEST_TRUSTED_PROXIES"),
    ]
