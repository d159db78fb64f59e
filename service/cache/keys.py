"""Every key that nextbest writes to Redis, with its life.

The version is in the key, so a new champion starts with an empty cache and nothing has to be deleted.
"""

LIST_FORMAT = 6  # raise it when the packed value changes
SHOWINGS_FORMAT = 5  # likewise, and only then: what was shown can't be made anew


def list_key(version_id: str, variant: str, customer_id: str, epoch: int = 0) -> str:
    """Where the assembled list of a customer in this epoch lies."""
    return f"nb:{LIST_FORMAT}:list:{version_id}:{variant}:{epoch}:{customer_id}"


def showings_key(name: str) -> str:
    """Where the showings of a customer lie; their life is told with each."""
    return f"nb:{SHOWINGS_FORMAT}:shown:{name}"


def list_life_s(ttl_s: int, chance: float) -> int:
    """Life of a list in seconds, between nine tenths of `ttl_s` and all of it. `chance` is in [0, 1)."""
    return max(1, round(ttl_s * (1 - 0.1 * chance)))
