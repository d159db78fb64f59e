"""The first schema: events, quarantine, customers and their consent, erasures, products, rules, audit."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger()
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CONSENTS = ("personalise", "train", "experiment", "store")


def id_column(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(256), nullable=nullable)


def sent() -> list[sa.Column[Any]]:
    """What events and those in quarantine have in common."""
    return [
        sa.Column("id", ROW, primary_key=True),
        id_column("namespace"),
        id_column("event_id"),
        sa.Column("payload_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        id_column("customer_id"),
        id_column("product_id", nullable=True),
        sa.Column("received_ms", BIG, nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
    ]


def upgrade() -> None:
    """Make all tables."""
    _facts()
    _events()
    _customers()
    _shop()


def _facts() -> None:
    clock = op.create_table(
        "record_clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("now", BIG, nullable=False),
    )
    op.bulk_insert(clock, [{"id": 1, "now": 0}])
    op.create_table(
        "record_facts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(256), nullable=False),
    )


def _events() -> None:
    op.create_table(
        "events",
        *sent(),
        sa.Column("at_ms", BIG, nullable=False),
        id_column("order_id", nullable=True),
        sa.Column("quantity", sa.Double),
        sa.Column("unit_price", sa.Double),
        sa.Column("discount", sa.Double),
        id_column("request_id", nullable=True),
        sa.Column("position", sa.Integer),
        sa.Column("question", sa.String(8)),
        sa.Column("score", sa.Integer),
        sa.UniqueConstraint("namespace", "event_id", name="events_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_customer_id_received_ms", "events", ["customer_id", "received_ms"])
    op.create_index("events_client_received_ms", "events", ["client", "received_ms"])
    op.create_table(
        "quarantine",
        *sent(),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.UniqueConstraint("namespace", "event_id", name="quarantine_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_customer_id", "quarantine", ["customer_id"])


def _customers() -> None:
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("epoch", BIG, nullable=False),
        *(sa.Column(name, sa.Boolean) for name in CONSENTS),
    )
    op.create_index("customers_epoch", "customers", ["epoch"])
    op.create_table(
        "consent_log",
        sa.Column("id", ROW, primary_key=True),
        id_column("customer_id"),
        sa.Column("at_ms", BIG, nullable=False),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in CONSENTS),
        sa.Column("client", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("consent_log_customer_id", "consent_log", ["customer_id"])
    op.create_table(
        "tombstones",
        sa.Column("number", ROW, primary_key=True),
        sa.Column("customer_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("erased_ms", BIG, nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("tombstones_epoch", "tombstones", ["epoch"])


def _shop() -> None:
    op.create_table(
        "products_live",
        sa.Column("product_id", sa.String(256), primary_key=True),
        sa.Column("stock", sa.Integer),
        sa.Column("price", sa.Double),
        sa.Column("margin", sa.Double),
        sa.Column("changed", BIG, nullable=False),
        sa.Column("changed_ms", BIG, nullable=False),
    )
    op.create_index("products_live_changed", "products_live", ["changed"])
    op.create_table(
        "rules_versions",
        sa.Column("number", ROW, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("changed", BIG, nullable=False),
        sa.Column("changed_ms", BIG, nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("rules_versions_changed", "rules_versions", ["changed"])
    op.create_table(
        "audit",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
