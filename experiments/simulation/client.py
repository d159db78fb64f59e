"""Calls a running service as a shop's back end does: asks what to show, tells what came of it."""

import http.client
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from experiments.errors import ServiceError

TIMEOUT_S = 10.0
BATCH = 500
TRY_AGAIN, ATTEMPTS, PAUSE_S = (429, 503), 20, 1.0


class ShopClient:
    """One connection that stays open.

    Args:
        url: of the service, such as http://127.0.0.1:8000.
        key: for recommendations and events; "" where none is needed.
        operator_key: for forced variants.
    """

    def __init__(self, url: str, key: str = "", operator_key: str = "") -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:  # of a port or an address that can't be
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise ServiceError(url, "isn't a URL such as http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._url, self._key, self._operator_key = url, key, operator_key
        self._connection = kind(host, port, timeout=TIMEOUT_S)

    def recommend(self, customer_id: str, n: int, variant: str = "") -> dict[str, Any]:
        """The answer; of a variant that is forced with the operator's key, if one is named."""
        query = {"n": str(n)} | ({"variant": variant} if variant else {})
        key = self._operator_key if variant else self._key
        return self._call("GET", f"/recommend/{quote(customer_id, safe='')}?{urlencode(query)}", key=key)

    def events(self, events: Sequence[dict[str, Any]]) -> int:
        """Tell events; how many were recorded, now or before."""
        recorded = 0
        for begin in range(0, len(events), BATCH):
            body = json.dumps({"events": events[begin : begin + BATCH]}).encode()
            told = self._call("POST", "/events", body, key=self._key)
            recorded += int(told["recorded"]) + int(told["duplicate"])
        return recorded

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: bytes | None = None, *, key: str) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            status, text = self._sent(method, path, body, key)
            if status not in TRY_AGAIN or attempt == ATTEMPTS - 1:
                break
            time.sleep(PAUSE_S)  # events are known by their ids: none counts twice
        if status != 200:
            told = text[:300].decode("utf-8", "replace")
            raise ServiceError(self._url, f"{method} {path}: {status} {told}", status)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _sent(self, method: str, path: str, body: bytes | None, key: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as err:
            self._connection.close()
            raise ServiceError(self._url, f"doesn't answer ({err})") from err
