"""What Alembic runs around the migrations: all of them in the transaction of the connection it was given."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
