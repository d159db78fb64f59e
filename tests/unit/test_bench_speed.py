"""The speed benchmark: its load generator against a server of a test's own, its tables and its plot."""

import os
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.benchmarks import bench_speed
from tests.benchmarks.load import closed_loop, get, open_loop, poisson
from tests.benchmarks.speed_page import SERVERS, answer_part, load_part, sizes_part
from tests.benchmarks.speed_plot import plot

CUT = b"|"  # where an answer is sent in two pieces
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@contextmanager
def server(answer: Callable[[int], bytes]) -> Iterator[int]:
    """A port where the n-th question gets `answer(n)`, one after the other over all connections."""
    turn, asked = threading.Lock(), iter(range(1_000_000))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # a client that is done resets it
            while connection.recv(65_536):
                with turn:
                    for piece in answer(next(asked)).split(CUT):
                        connection.sendall(piece)
                        time.sleep(0.01 * (piece != OK))

    def accept() -> None:
        while True:
            try:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_an_open_loop_asks_as_often_as_it_was_told_and_counts_each_answer() -> None:
    with server(lambda _: OK) as port:
        outcome = open_loop(port, repeat(get("/")), np.arange(50) / 500)
    assert (len(outcome.waited_ms), outcome.wrong, outcome.missing) == (50, 0, 0)
    assert outcome.seconds >= 0.098


def test_a_process_with_more_than_a_thousand_files_open_can_ask_too() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1200
    if hard != resource.RLIM_INFINITY and hard < most:
        pytest.skip(f"no process may have more than {hard} files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    held = [os.dup(0) for _ in range(1030)]
    try:
        with server(lambda _: OK) as port:
            outcome = open_loop(port, repeat(get("/")), np.arange(20) / 2000)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (len(outcome.waited_ms), outcome.missing) == (20, 0)


def test_whoever_had_to_wait_to_be_asked_waited_too() -> None:
    def answer(number: int) -> bytes:
        time.sleep(0.3 if number == 0 else 0)
        return OK

    with server(answer) as port:  # the first one holds all up: 10 were due every 20 ms meanwhile
        outcome = open_loop(port, repeat(get("/")), np.arange(10) / 50, most=1)
    waited = sorted(outcome.waited_ms)
    assert waited[-1] >= 300
    assert waited[0] >= 100  # the last was due at 180 ms
    assert outcome.missing == 0


def test_answers_that_are_none_or_anothers_are_wrong() -> None:
    with server(lambda n: OK if n % 2 else OK.replace(b"200 OK", b"503 No")) as port:
        assert open_loop(port, repeat(get("/")), np.arange(10) / 1000).wrong == 5
    with server(lambda _: OK) as port:
        assert open_loop(port, repeat(get("/", (), "ho")), np.arange(4) / 1000).wrong == 4


def test_answers_in_pieces_are_whole_answers() -> None:
    for place in (3, 20, len(OK) - 3, len(OK) - 1):
        with server(lambda _, place=place: OK[:place] + CUT + OK[place:]) as port:  # type: ignore[misc]
            outcome = open_loop(port, repeat(get("/", (), "hi")), np.arange(3) / 500)
        assert (len(outcome.waited_ms), outcome.wrong) == (3, 0)


def test_what_is_never_answered_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.load.OVERTIME_S", 0.1)
    with server(lambda _: OK[:-1]) as port:
        outcome = open_loop(port, repeat(get("/")), np.zeros(3), most=2)
    assert (len(outcome.waited_ms), outcome.missing) == (0, 3)
    outcome.waited_ms = [1.0, 2.0, 3.0]
    assert [outcome.percentile_ms(share) for share in (50, 51)] == [3.0, float("inf")]


def test_a_closed_loop_asks_again_once_it_has_its_answer() -> None:
    with server(lambda _: OK) as port:
        outcome = closed_loop(port, repeat(get("/")), 0.1, connections=2)
    assert outcome.wrong == 0
    assert outcome.per_s == pytest.approx(len(outcome.waited_ms) / outcome.seconds)
    assert len(outcome.waited_ms) > 10


def test_moments_of_callers_come_at_the_rate_and_not_evenly() -> None:
    due_s = poisson(1000, 10, np.random.default_rng(0))
    gaps_s = np.diff(due_s)
    assert due_s[-1] == pytest.approx(10, rel=0.05)
    assert gaps_s.std() == pytest.approx(gaps_s.mean(), rel=0.05)


def step(rate: int, p99_ms: float, per_s: float | None = None) -> dict[str, Any]:
    times = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": p99_ms, "p99.9_ms": p99_ms + 1}
    return {"rate_per_s": rate, "per_s": per_s or rate, "missing": 0, "others": 0.1, **times}


CURVE = [step(1000, 2.0), step(2000, 6.5), step(3000, 90.0), step(4000, 900.0, 3000)]
ROW = {"us": 100.0, "p90_us": 120.0, "x_bare": 1.5, "x_bare_get": 0.5}
LISTS = ("/recommend, list in the worker", "/recommend, list from Redis")
CONTENT: dict[str, Any] = {
    "answer": {"found": {"routes": dict.fromkeys(LISTS, ROW), "parts": {"JSON": 20.0}}},
    "load": {
        "found": {
            "cold": [step(1000, 9.0)],
            "throughput": [{"per_s": dict.fromkeys(SERVERS, 4000.0), "others": 0.1}],
            "aim": [step(2000, 6.0), step(2000, 3.0), step(2000, 8.0)],
            "curves": {"bare": CURVE, "zipf": CURVE},
        }
    },
    "sizes": {
        "found": [
            {
                "customers": 1000, "products": 10, "candidates": 200, "bought": 20,
                "files": {"order": 1_200_000_000, "evidence": 200_000_000}
                | dict.fromkeys(("histories", "ids", "products"), 50_000_000),
                "worker_bytes": 9e7, "redis_lists": 1000, "redis_bytes": 600_000, "ready_s": 2.1,
                "others": 0.0,
            }
        ]
    },
}  # fmt: skip
for part in CONTENT.values():
    part["machine"] = {"day": "2026-11-24", "cores": 2, "python": "3.12", "load_average": 0.5}


def test_the_page_says_what_was_asked_for_and_what_came_of_it() -> None:
    page = f"{answer_part(CONTENT['answer'])}\n\n{load_part(CONTENT['load'])}"
    assert "/recommend, list in the worker: 1.50, at most 2.0 is asked for" in page
    assert "/recommend, list from Redis: 0.50, at most 1.5 is asked for" in page
    assert "Median p99 of the runs: 6.0 ms" in page
    assert "lists in no cache, with 100,000 products: 9.0 ms" in page
    assert "p99 is under 7 ms up to 2,000/s, and from 4,000/s on answers come later than questions" in page


def test_a_part_that_was_not_measured_keeps_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {page: page.read_text() for page in (bench_speed.SPEED, bench_speed.SIZES)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for page, text in before.items():
        page.write_text(text)
    bench_speed.write({"answer": CONTENT["answer"]})
    page = bench_speed.SPEED.read_text()
    assert answer_part(CONTENT["answer"]) in page
    load = before[bench_speed.SPEED].partition("<!-- load: begin -->")[2]
    assert page.endswith(load) and "Over the network" in load
    assert bench_speed.SIZES.read_text() == before[bench_speed.SIZES]


def test_the_page_of_sizes_adds_up_what_is_mapped() -> None:
    page = sizes_part(CONTENT["sizes"])
    assert "| 1.55 GB |" in page
    assert "400,000 lists take 0.24 GB of Redis, 600 bytes each" in page


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    pages = "\n\n".join(part_of(CONTENT[part]) for part, (_, part_of) in bench_speed.PARTS.items())
    for table in re.findall(r"(?:^\|.*\n?)+", pages, re.MULTILINE):
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1


def test_the_plot_is_an_image_with_two_lines_for_each_server() -> None:
    root = ElementTree.fromstring(plot({"bare": CURVE, "zipf": CURVE}))  # noqa: S314  # our own text
    found = [element.tag.rpartition("}")[2] for element in root]
    assert found.count("polyline") == 4
