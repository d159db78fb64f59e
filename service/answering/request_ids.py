"""Ids of answers: random, so that nobody guesses another's, and drawn many at once, which is soon done."""

import os

ID_BYTES, DRAWN = 12, 256

_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)


def new_request_id() -> str:
    """24 hexadecimal digits."""
    try:
        return _drawn.pop()
    except IndexError:  # another thread may take the last one
        digits, length = os.urandom(ID_BYTES * DRAWN).hex(), 2 * ID_BYTES
        _drawn.extend(digits[start : start + length] for start in range(length, len(digits), length))
        return digits[:length]
