"""What a version must have so that a service answers from it: versions of older code may lack some of it."""

from storage.versions.version import Version

IDS = ("customers", "products")
STRINGS = (*IDS, "products/title", "products/url", "products/image_url", "categories", "brands")
ARRAYS = (
    *(f"{name}/hash" for name in IDS),
    *(f"{name}/{part}" for name in STRINGS for part in ("offsets", "blob")),
    *(f"products/{name}" for name in ("category_row", "brand_row", "stock", "price", "margin", "worth")),
    *("products/interval_days", "categories/interval_days", "value/margin_share"),
    *(f"popular/{name}" for name in ("order", "recent_buyers", "buyers", "first_day")),
    *("similar/product", "similar/score", "follow_up/lift", "session/figures"),
    *(f"history/{name}" for name in ("indptr", "product", "times", "last_day", "interval_days")),
    "history/order_keys",
)
OF_VARIANT = ("product", "evidence")


def check_answers(version: Version, variant: str) -> None:
    """Refuse a version that lacks what a service reads of every one.

    Raises:
        DamagedVersionError: with the name of the first array that is missing.
    """
    for name in (*ARRAYS, *(f"candidates/{variant}/{part}" for part in OF_VARIANT)):
        version.check_has(name)
