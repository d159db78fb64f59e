"""Budgets of offers: which purchase redeemed one, who may promise how many, and to whom it was promised."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger()
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a column and two tables."""
    op.add_column("events", sa.Column("offer_id", sa.String(256)))
    op.create_index("events_offer_id", "events", ["offer_id"])
    op.create_table(
        "offer_leases",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("offer_id", sa.String(256), nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("counts_until_ms", BIG, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("offer_leases_offer_id", "offer_leases", ["offer_id"])
    op.create_table(
        "offer_promises",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("offer_id", sa.String(256), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("promised_ms", BIG, nullable=False),
        sa.Column("ends_ms", BIG, nullable=False),
        sa.UniqueConstraint("offer_id", "customer_id", name="offer_promises_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("offer_promises_customer_id", "offer_promises", ["customer_id"])
