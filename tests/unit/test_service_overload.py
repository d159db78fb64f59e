"""Who is turned away while too many wait: after a while, now and then, with a time to come back."""

import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.web.overload import AcceptQueue, Shedding

FDS = Path("/proc/self/fd")
ORIGIN = "https://shop.example"


class Scene:
    """A wrapped app that answers 200, a queue and a clock that tests set."""

    def __init__(self) -> None:
        self.waiting, self.now_s, self.counted = 0, 0.0, Counter[tuple[str, int]]()
        self.app = Shedding(
            *(_answers, self, lambda: self.waiting, lambda: self.now_s, lambda: 0.99), origins=(ORIGIN,)
        )

    def request(self, route: str, status: int, elapsed_s: float) -> None:
        self.counted[route, status] += 1

    def ask(
        self, path: str = "/popular", method: str = "GET", **more: str
    ) -> tuple[int, dict[str, str], bytes]:
        told: list[Any] = []
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, **more}
        body = b"".join(self.app(environ, lambda *words: told.append(words)))  # type: ignore[arg-type]
        (status, headers) = told[0]
        return int(status[:3]), dict(headers), body


def _answers(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_burst_is_answered_and_an_overload_gets_503_once_it_lasted_50_ms(scene: Scene) -> None:
    scene.waiting = 33
    assert scene.ask()[0] == 200
    scene.now_s = 0.049
    assert scene.ask()[0] == 200
    scene.now_s = 0.052
    status, headers, body = scene.ask()
    assert (status, headers["Retry-After"], headers["Connection"]) == (503, "3", "close")
    assert json.loads(body)["type"] == "urn:nextbest:problem:overloaded"
    assert int(headers["Content-Length"]) == len(body)
    assert scene.counted == {("overload", 503): 1}


def test_at_most_one_in_a_millisecond_and_a_half_is_turned_away_and_health_and_erasure_never(
    scene: Scene,
) -> None:
    scene.waiting = 1000
    scene.ask()
    scene.now_s = 0.06
    assert [scene.ask()[0] for _ in range(5)] == [503, 200, 200, 200, 200]
    scene.now_s = 0.0616
    assert scene.ask("/health/ready")[0] == 200
    assert scene.ask("/customers/anna")[0] == 200
    assert scene.ask()[0] == 503


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://evil.example", None)])
def test_a_page_of_a_listed_origin_can_read_that_it_was_turned_away(
    scene: Scene, origin: str, allowed: str | None
) -> None:
    scene.waiting = 1000
    scene.ask()
    scene.now_s = 0.06
    assert scene.ask(method="OPTIONS", HTTP_ORIGIN=origin)[0] == 200  # a preflight is never turned away
    status, headers, _ = scene.ask(HTTP_ORIGIN=origin)
    assert (status, headers["Vary"]) == (503, "Origin")
    assert headers.get("Access-Control-Allow-Origin") == allowed


def test_it_ends_with_the_queue(scene: Scene) -> None:
    scene.waiting = 1000
    scene.ask()
    scene.now_s = 0.06
    assert scene.ask()[0] == 503
    scene.waiting, scene.now_s = 32, 0.07
    assert scene.ask()[0] == 200
    scene.waiting, scene.now_s = 1000, 0.08
    assert scene.ask()[0] == 200  # a new burst


def test_where_no_socket_listens_nobody_waits() -> None:
    queue = AcceptQueue(1)
    assert (queue(), queue()) == (0, 0)


def test_looking_for_the_socket_keeps_no_other_file_open(tmp_path: Path) -> None:
    def opened(name: str) -> int:
        return sum(fd.readlink() == Path(name) for fd in FDS.iterdir() if fd.is_symlink())

    file = tmp_path / "a version's"
    with file.open("w"), socket.create_server(("127.0.0.1", 0)) as server:
        name = str((FDS / str(server.fileno())).readlink())
        queue = AcceptQueue(server.getsockname()[1])
        assert queue() == 0
        assert (opened(str(file)), opened(name)) == (1, 2)
        assert queue._socket
        queue._socket.close()
