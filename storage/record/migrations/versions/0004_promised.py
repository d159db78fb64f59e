"""How many promises of each offer weren't redeemed is kept, not counted: columns and indexes for that."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger()
IS_REDEEMED = sa.text("offer_id IS NOT NULL")


def upgrade() -> None:
    """Add a table, a column and indexes, and count what is promised."""
    op.drop_index("events_offer_id", "events")
    for columns in (["id"], ["received_ms"], ["customer_id", "received_ms"]):
        op.create_index(
            f"events_offer_id_{'_'.join(columns)}",
            "events",
            ["offer_id", *columns],
            sqlite_where=IS_REDEEMED,
            postgresql_where=IS_REDEEMED,
        )
    op.add_column(
        "offer_promises", sa.Column("is_redeemed", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_index("offer_promises_ends_ms", "offer_promises", ["ends_ms"])
    op.create_table(
        "offer_counts",
        sa.Column("offer_id", sa.String(256), primary_key=True),
        sa.Column("promised", BIG, nullable=False),
        sa.Column("marked_ms", BIG, nullable=False),
    )
    op.execute(
        "UPDATE offer_promises SET is_redeemed = true WHERE EXISTS (SELECT 1 FROM events"
        " WHERE events.offer_id = offer_promises.offer_id AND events.customer_id = offer_promises.customer_id"
        " AND events.received_ms >= offer_promises.promised_ms AND events.type = 'purchase')"
    )
    op.execute(
        "INSERT INTO offer_counts (offer_id, promised, marked_ms)"
        " SELECT offer_id, sum(CASE WHEN is_redeemed THEN 0 ELSE 1 END),"
        " coalesce((SELECT max(received_ms) - 600000 FROM events WHERE offer_id IS NOT NULL), 0)"
        " FROM offer_promises GROUP BY offer_id"
    )
