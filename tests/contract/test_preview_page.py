"""The preview page as it is sent: what it may load and run, and what it offers to choose from."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.answering.languages import LANGUAGES
from service.routes.docs_page import hash_source
from service.web.parameters import N_MAX, OBJECTIVES
from tests.data.tiny_service import EVERYBODY, tiny_operator_app


@pytest.fixture
def operator(tmp_path: Path) -> FlaskClient:
    return tiny_operator_app(tmp_path, EVERYBODY).test_client()


def test_the_page_may_load_nothing_but_pictures_and_runs_nothing_but_its_own_script(
    operator: FlaskClient,
) -> None:
    page = operator.get("/preview")
    assert page.content_type == "text/html; charset=utf-8"
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
    directives = dict(one.strip().split(" ", 1) for one in page.headers["Content-Security-Policy"].split(";"))
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert directives == {
        **dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"),
        **{"script-src": hash_source(script.encode()), "style-src": hash_source(style.encode())},
        **{"img-src": "https:", "connect-src": "'self'"},
    }
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|Storage|cookie", script)
    assert not re.search(r"\s(src|href|action|style|on\w+)=", page.text.replace(script, ""))


def test_the_page_offers_every_language_and_objective(operator: FlaskClient) -> None:
    text = operator.get("/preview").text
    selects = dict(re.findall(r'<select id="(\w+)">(.*?)</select>', text, re.DOTALL))
    assert re.findall(r'value="(\w+)"', selects["language"]) == list(LANGUAGES)
    assert re.findall(r"<option>(\w+)<", selects["objective"]) == list(OBJECTIVES)
    assert re.findall(r'max="([0-9]+)"', text) == [str(N_MAX)]
