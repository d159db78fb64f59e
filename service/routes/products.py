"""PUT /products/<id>: a product's stock, price and margin from now on, on this worker at once."""

import time
from collections.abc import Callable

from flask import Flask, Response, request

from service.errors import RefusedError
from service.live.products import LiveProducts
from service.record import SEND_AGAIN, Door
from service.web.bodies import read_json, write_json
from service.web.parameters import check_kept_id
from storage.record.changes import ProductState
from storage.record.products import change_product
from storage.record.record import Record

MAX_BYTES = 4096
STOCK_MAX, AMOUNT_MAX = 2_000_000_000, 1e9
KEYS = ("stock", "price", "margin")


class ProductDesk:
    """Keeps live values in the record, then shows them here; the other workers follow."""

    def __init__(
        self,
        door: Door,
        live: LiveProducts,
        is_known: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._door, self._live, self._clock = door, live, clock
        self.is_known = is_known

    def put(self, product: ProductState) -> None:
        """Put values in force. They are durable when this returns.

        Raises:
            RefusedError: the record can't be used now; they may be in force or not.
        """
        now_ms = int(self._clock() * 1000)

        def write(record: Record) -> int:
            with record.writing() as connection:
                return change_product(connection, product, now_ms=now_ms)

        self._live.apply(product, self._door.do(write, SEND_AGAIN))


def register_products(app: Flask, desk: ProductDesk) -> None:
    """Add this route to the app."""

    @app.put("/products/<id:product_id>", endpoint="put_product")
    def put_product(product_id: str) -> Response:
        check_kept_id("product_id", product_id, request.environ["PATH_INFO"])
        product = parse_product(product_id, read_json(request, MAX_BYTES))
        desk.put(product)
        values = {name: getattr(product, name) for name in KEYS}
        return write_json({"product_id": product_id, **values, "known": desk.is_known(product_id)})


def parse_product(product_id: str, body: object) -> ProductState:
    """What a body says of a product. What it leaves out, or says null of, is again as the night has it.

    Raises:
        RefusedError: with the key at fault.
    """
    if not isinstance(body, dict) or not body:
        raise RefusedError("bad_body", None, f"must be an object with any of {', '.join(KEYS)}")
    for name in body:
        if name not in KEYS:
            raise RefusedError("bad_body", name[:64], f"no such key; there are: {', '.join(KEYS)}")
    stock, price = body.get("stock"), body.get("price")
    if stock is not None and (type(stock) is not int or abs(stock) > STOCK_MAX):
        raise RefusedError("bad_body", "stock", f"must be a whole number up to {STOCK_MAX}, or null")
    amount = _amount("price", price)
    if amount is not None and amount < 0:
        raise RefusedError("bad_body", "price", "must be 0 or more, or null")
    return ProductState(
        product_id, None if stock is None else max(stock, 0), amount, _amount("margin", body.get("margin"))
    )


def _amount(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > AMOUNT_MAX:
        raise RefusedError("bad_body", name, f"must be a number up to {AMOUNT_MAX:.0f}, or null")
    return float(value)
