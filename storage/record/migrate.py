"""Brings the record's tables to the newest schema with Alembic; imported only where that may be needed."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: sa.Connection) -> None:
    """Run the migrations that are missing, within the transaction of this connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
