"""Experiments: their specifications, the holdout, looks, exposures and what was lost of these."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger()
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def name(column: str, length: int = 64) -> sa.Column[str]:
    return sa.Column(column, sa.String(length), nullable=False)


def flag(column: str) -> sa.Column[bool]:
    return sa.Column(column, sa.Boolean, nullable=False)


def upgrade() -> None:
    """Make all tables."""
    _experiments()
    _exposures()


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", ROW, primary_key=True),
        name("experiment_id"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        name("spec_hash", 16),
        name("layer"),
        sa.Column("slot_start", sa.Double, nullable=False),
        sa.Column("slot_width", sa.Double, nullable=False),
        name("state", 16),
        sa.Column("started_ms", BIG, nullable=False),
        sa.Column("ended_ms", BIG),
        sa.Column("changed", BIG, nullable=False),
        name("client"),
        sa.UniqueConstraint("experiment_id", "version", name="experiments_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("experiments_changed", "experiments", ["changed"])
    op.create_table(
        "holdout",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("share", sa.Double, nullable=False),
        name("salt"),
        sa.Column("changed", BIG, nullable=False),
    )
    op.create_table(
        "experiment_looks",
        sa.Column("id", ROW, primary_key=True),
        name("experiment_id"),
        sa.Column("version", sa.Integer, nullable=False),
        name("metric"),
        name("arm"),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.UniqueConstraint("experiment_id", "version", "metric", "arm", "day", name="experiment_looks_once"),
        sqlite_autoincrement=True,
    )


def _exposures() -> None:
    op.create_table(
        "exposures",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("event_id", sa.String(64), nullable=False, unique=True),
        name("request_id"),
        sa.Column("at_ms", BIG, nullable=False),
        name("customer_id", 256),
        name("experiment_id"),
        sa.Column("version", sa.Integer, nullable=False),
        name("spec_hash", 16),
        name("layer"),
        name("variant"),
        flag("is_forced"),
        name("model_version"),
        flag("is_fallback"),
        name("source", 16),
        name("placement", 32),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        flag("is_cached"),
        sqlite_autoincrement=True,
    )
    for columns in (["experiment_id", "version", "id"], ["customer_id"], ["at_ms"]):
        op.create_index("_".join(["exposures", *columns]), "exposures", columns)
    op.create_table(
        "lost_exposures",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("at_ms", BIG, nullable=False),
        name("experiment_id"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        name("why", 32),
        sqlite_autoincrement=True,
    )
