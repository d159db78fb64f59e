"""The record's tables: what customers did, allowed and were shown, what was erased, and what changed when.

Times are Unix milliseconds. `changed` and `epoch` are numbers of the one clock in `record_clock`: they only
ever grow, over all tables, so that whoever knows the number N asks for what changed after N.
"""

from typing import Any

import sqlalchemy as sa

SCHEMA = 4
"""Number of the newest migration in migrations/versions."""

METADATA = sa.MetaData(naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s"})

_BIG = sa.BigInteger()
_ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers rows by its own type only


def _key() -> sa.Column[int]:
    return sa.Column("id", _ROW, primary_key=True)


record_clock = sa.Table(
    "record_clock",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # there is one row, 1
    sa.Column("now", _BIG, nullable=False),
)

record_facts = sa.Table(
    "record_facts",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.String(256), nullable=False),
)

# `namespace` is whose event ids these are: empty for the shop's back ends, the customer for a browser, so
# that no browser can use up an id of the shop's. `client` is the key that was used, to undo what one key did.
_SENT = (
    ("namespace", sa.String(256), False),
    ("event_id", sa.String(256), False),
    ("payload_hash", sa.LargeBinary(16), False),
    ("type", sa.String(16), False),
    ("customer_id", sa.String(256), False),
    ("product_id", sa.String(256), True),
    ("received_ms", _BIG, False),
    ("client", sa.String(64), False),
)


def _sent() -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name, kind, nullable in _SENT]


_IS_REDEEMED = sa.text("offer_id IS NOT NULL")  # few events are redemptions

events = sa.Table(
    "events",
    METADATA,
    _key(),
    *_sent(),
    sa.Column("at_ms", _BIG, nullable=False),
    sa.Column("order_id", sa.String(256)),
    sa.Column("quantity", sa.Double),
    sa.Column("unit_price", sa.Double),
    sa.Column("discount", sa.Double),
    sa.Column("request_id", sa.String(256)),
    sa.Column("position", sa.Integer),
    sa.Column("question", sa.String(8)),
    sa.Column("score", sa.Integer),
    sa.Column("offer_id", sa.String(256)),  # of a purchase: the offer that it redeemed
    sa.UniqueConstraint("namespace", "event_id", name="events_once"),
    sa.Index(None, "customer_id", "received_ms"),
    sa.Index(None, "client", "received_ms"),
    *(
        sa.Index(None, "offer_id", *names, sqlite_where=_IS_REDEEMED, postgresql_where=_IS_REDEEMED)
        for names in (("id",), ("received_ms",), ("customer_id", "received_ms"))
    ),
    sqlite_autoincrement=True,
)

quarantine = sa.Table(
    "quarantine",
    METADATA,
    _key(),
    *_sent(),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),  # the event as JSON, in the form that was checked
    sa.UniqueConstraint("namespace", "event_id", name="quarantine_once"),
    sa.Index(None, "customer_id"),
    sqlite_autoincrement=True,
)

CONSENTS = ("personalise", "train", "experiment", "store")

# A consent that was never given or refused is null: then the shop's default holds.
customers = sa.Table(
    "customers",
    METADATA,
    sa.Column("customer_id", sa.String(256), primary_key=True),
    sa.Column("epoch", _BIG, nullable=False),
    *(sa.Column(name, sa.Boolean) for name in CONSENTS),
    sa.Index(None, "epoch"),
)

consent_log = sa.Table(
    "consent_log",
    METADATA,
    _key(),
    sa.Column("customer_id", sa.String(256), nullable=False),
    sa.Column("at_ms", _BIG, nullable=False),
    *(sa.Column(name, sa.Boolean, nullable=False) for name in CONSENTS),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Index(None, "customer_id"),
    sqlite_autoincrement=True,
)

# `number` counts erasures: a night notes the last one that it saw.
tombstones = sa.Table(
    "tombstones",
    METADATA,
    sa.Column("number", _ROW, primary_key=True),
    sa.Column("customer_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("erased_ms", _BIG, nullable=False),
    sa.Column("epoch", _BIG, nullable=False),
    sa.Index(None, "epoch"),
    sqlite_autoincrement=True,
)

products_live = sa.Table(
    "products_live",
    METADATA,
    sa.Column("product_id", sa.String(256), primary_key=True),
    sa.Column("stock", sa.Integer),
    sa.Column("price", sa.Double),
    sa.Column("margin", sa.Double),
    sa.Column("changed", _BIG, nullable=False),
    sa.Column("changed_ms", _BIG, nullable=False),
    sa.Index(None, "changed"),
)

rules_versions = sa.Table(
    "rules_versions",
    METADATA,
    sa.Column("number", _ROW, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("changed", _BIG, nullable=False),
    sa.Column("changed_ms", _BIG, nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Index(None, "changed"),
    sqlite_autoincrement=True,
)

audit = sa.Table(
    "audit",
    METADATA,
    _key(),
    sa.Column("at_ms", _BIG, nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # JSON; never the id of a customer
    sqlite_autoincrement=True,
)

# A specification never changes: a new one is a new version. `slot_*` is its part of the layer.
experiments = sa.Table(
    "experiments",
    METADATA,
    _key(),
    sa.Column("experiment_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("spec_hash", sa.String(16), nullable=False),
    sa.Column("layer", sa.String(64), nullable=False),
    sa.Column("slot_start", sa.Double, nullable=False),
    sa.Column("slot_width", sa.Double, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("started_ms", _BIG, nullable=False),
    sa.Column("ended_ms", _BIG),
    sa.Column("changed", _BIG, nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.UniqueConstraint("experiment_id", "version", name="experiments_once"),
    sa.Index(None, "changed"),
    sqlite_autoincrement=True,
)

# There is at most one row, 1: the customers who are in no experiment.
holdout = sa.Table(
    "holdout",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("changed", _BIG, nullable=False),
)

# What looks at an experiment have spent: a look that was made is never made again.
experiment_looks = sa.Table(
    "experiment_looks",
    METADATA,
    _key(),
    sa.Column("experiment_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("metric", sa.String(64), nullable=False),
    sa.Column("arm", sa.String(64), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON of the judge's
    sa.UniqueConstraint("experiment_id", "version", "metric", "arm", "day", name="experiment_looks_once"),
    sqlite_autoincrement=True,
)

exposures = sa.Table(
    "exposures",
    METADATA,
    _key(),
    sa.Column("event_id", sa.String(64), nullable=False, unique=True),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("at_ms", _BIG, nullable=False),
    sa.Column("customer_id", sa.String(256), nullable=False),
    sa.Column("experiment_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("spec_hash", sa.String(16), nullable=False),
    sa.Column("layer", sa.String(64), nullable=False),
    sa.Column("variant", sa.String(64), nullable=False),
    sa.Column("is_forced", sa.Boolean, nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("is_fallback", sa.Boolean, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("placement", sa.String(32), nullable=False),
    sa.Column("items", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Double, nullable=False),
    sa.Column("is_cached", sa.Boolean, nullable=False),
    sa.Index(None, "experiment_id", "version", "id"),
    sa.Index(None, "customer_id"),
    sa.Index(None, "at_ms"),
    sqlite_autoincrement=True,
)

# Exposures that were never written, as far as it is known how many.
lost_exposures = sa.Table(
    "lost_exposures",
    METADATA,
    _key(),
    sa.Column("at_ms", _BIG, nullable=False),
    sa.Column("experiment_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("why", sa.String(32), nullable=False),
    sqlite_autoincrement=True,
)

# A part of an offer's budget that one worker may promise. What of it was never told (`granted` - `used`)
# counts as promised until the promises could have ended.
offer_leases = sa.Table(
    "offer_leases",
    METADATA,
    _key(),
    sa.Column("offer_id", sa.String(256), nullable=False),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("granted", sa.Integer, nullable=False),
    sa.Column("used", sa.Integer, nullable=False),
    sa.Column("counts_until_ms", _BIG, nullable=False),
    sa.Index(None, "offer_id"),
    sqlite_autoincrement=True,
)

# To whom an offer with a budget was shown: it may be redeemed until it ends.
offer_promises = sa.Table(
    "offer_promises",
    METADATA,
    _key(),
    sa.Column("offer_id", sa.String(256), nullable=False),
    sa.Column("customer_id", sa.String(256), nullable=False),
    sa.Column("promised_ms", _BIG, nullable=False),
    sa.Column("ends_ms", _BIG, nullable=False),
    sa.Column("is_redeemed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("offer_id", "customer_id", name="offer_promises_once"),
    sa.Index(None, "customer_id"),
    sa.Index(None, "ends_ms"),
    sqlite_autoincrement=True,
)

# How many promises of an offer aren't marked as redeemed, so that nobody has to count them. Those of what was
# received at `marked_ms` or later aren't all marked yet.
offer_counts = sa.Table(
    "offer_counts",
    METADATA,
    sa.Column("offer_id", sa.String(256), primary_key=True),
    sa.Column("promised", _BIG, nullable=False),
    sa.Column("marked_ms", _BIG, nullable=False),
)
