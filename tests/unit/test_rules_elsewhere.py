"""Rules are put at the operator's listener alone, and who asks elsewhere hears of it."""

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from click.testing import CliRunner

from service.cli import main


class PublicListener(BaseHTTPRequestHandler):
    """Has no rules."""

    def do_PUT(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


def test_who_puts_rules_elsewhere_than_to_the_operators_listener_is_told_what_that_is(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("schema = 1\n")
    put = ["rules", "put", str(tmp_path / "good.toml"), "--url"]
    told = "NEXTBEST_OPERATOR_PORT of the service opens"
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    ended = CliRunner().invoke(main, [*put, f"http://127.0.0.1:{port}"])
    assert (ended.exit_code, told in ended.output) == (1, True)
    with HTTPServer(("127.0.0.1", 0), PublicListener) as public:
        Thread(target=public.handle_request, daemon=True).start()
        ended = CliRunner().invoke(main, [*put, f"http://127.0.0.1:{public.server_port}"])
    assert (ended.exit_code, told in ended.output) == (1, True)
