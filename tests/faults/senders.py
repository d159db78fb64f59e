"""Clients that send purchases in batches, and again until each batch was acknowledged, and keep account."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.client import PAUSE_S, Connection, Outcome

BATCH = 5


class Senders:
    """Each has its own customers and event ids; whatever isn't acknowledged is sent again, as it was.

    Attributes:
        acknowledged: event id and customer of every event that was answered with 200.
        again: batches that had to be sent more than once.
        wrong: answers that can't be.

    Args:
        headers: of each request, each with its line end.
        gap_s: pause of each before a batch.
    """

    def __init__(
        self, port: int, clients: int, products: list[str], headers: str = "", gap_s: float = 0.0
    ) -> None:
        self._port, self._products, self._stop = port, products, threading.Event()
        self._headers, self._gap_s = headers, gap_s
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(clients)]
        self.acknowledged: list[tuple[str, str]] = []
        self.again, self.wrong = 0, list[str]()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each finish the batch at hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self, sender: int) -> None:
        connection, number = Connection(self._port, timeout_s=5, headers=self._headers), 0
        while not self._stop.wait(self._gap_s):
            batch = [self._event(sender, number + place) for place in range(BATCH)]
            number += BATCH
            body = json.dumps({"events": batch}).encode()
            is_first = True
            while (reply := connection.post("/events", body)).outcome is not Outcome.OK:
                if reply.outcome is Outcome.FAILED and reply.status:
                    self.wrong.append(f"{reply.status} {reply.body[:200]!r}")
                self.again += is_first
                is_first = False
                time.sleep(PAUSE_S)
            answer = json.loads(reply.body)
            if answer["recorded"] + answer["duplicate"] != BATCH or (is_first and answer["duplicate"]):
                self.wrong.append(reply.body.decode())
            self.acknowledged += [(event["event_id"], event["customer_id"]) for event in batch]
        connection.close()

    def _event(self, sender: int, number: int) -> dict[str, str]:
        product_id = self._products[number % len(self._products)]
        return {
            "type": "purchase",
            "event_id": f"s{sender}-{number}",
            "customer_id": f"c{sender}-{number // 100}",
            "product_id": product_id,
        }


@contextmanager
def sending(port: int, clients: int, products: list[str], **options: Any) -> Iterator[Senders]:
    """Senders as long as the block lasts."""
    senders = Senders(port, clients, products, **options)
    senders.start()
    try:
        yield senders
    finally:
        senders.stop()
