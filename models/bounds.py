"""Bounds that options keep themselves, so that options made in code are held to them too."""

from models.errors import BadConfigError


def above_zero(where: str, value: float | None) -> None:
    """Refuse 0 and less; None is left to be learned.

    Args:
        where: variant and field, for the error.
        value: of the field.
    Raises:
        BadConfigError: it is too small.
    """
    if value is not None and not value > 0:
        raise BadConfigError(where, f"{value!r} is too small")


def within(where: str, value: float, low: float, high: float) -> None:
    """Refuse what is not from `low` to `high`, both included.

    Raises:
        BadConfigError: it is beyond them.
    """
    if not low <= value <= high:
        raise BadConfigError(where, f"{value!r} is not from {low} to {high}")
