"""A shop whose every answer tells whose it is: customer c17 gets products p17-0 to p17-9, and no others."""

import random

from tests.data.tiny_version import Bought, TinyShop

OWN = 10


def marked_shop(customers: int = 60) -> TinyShop:
    """Every product of a customer's list was bought by that customer and by nobody else."""
    products = {customer: [f"p{customer}-{place}" for place in range(OWN)] for customer in range(customers)}
    every = [product for own in products.values() for product in own]
    return TinyShop(
        products=dict.fromkeys(every, "all"),
        titles={},
        prices={},
        out_of_stock=(),
        popular=every,
        recent_buyers={},
        similar={},
        history={f"c{customer}": [Bought(product) for product in own] for customer, own in products.items()},
        candidates={
            f"c{customer}": [(product, product) for product in own] for customer, own in products.items()
        },
    )


def asked_for(customers: int, seed: int) -> list[str]:
    """Ids of all customers in an order of chance."""
    ids = [f"c{customer}" for customer in range(customers)]
    random.Random(seed).shuffle(ids)
    return ids


def is_own(customer_id: str, body: bytes) -> bool:
    """Whether an answer is this customer's whole list."""
    products = body.count(f'"product_id": "p{customer_id[1:]}-'.encode())
    named = body.startswith(f'{{"customer_id": "{customer_id}", '.encode())
    return named and products == OWN == body.count(b'"rank": ')
