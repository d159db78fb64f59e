"""Bounds that options keep themselves, so that options made in code are held to them too."""

from models.errors import BadOptionError

HORIZON_DAYS = (1, 365)  # from to; windows are of whole days
MOST_POWER = 10


def above_zero(option: str, value: float | None) -> None:
    """Refuse 0 and less; None is left to be learned.

    Args:
        option: name of the field, for the error.
        value: of the field.
    Raises:
        BadOptionError: it is too small.
    """
    if value is not None and not value > 0:
        raise BadOptionError(option, f"{value!r} is too small: it must be above 0")


def within(option: str, value: float, low: float, high: float) -> None:
    """Refuse what is not from `low` to `high`, both included.

    Raises:
        BadOptionError: it is beyond them.
    """
    if not low <= value <= high:
        raise BadOptionError(option, f"{value!r} is not from {low} to {high}")


def is_power(option: str, value: float | None) -> None:
    """Refuse a power by which scores wouldn't stay finite; None is left to be learned.

    Raises:
        BadOptionError: it isn't from 0 to MOST_POWER.
    """
    if value is not None:
        within(option, value, 0, MOST_POWER)
