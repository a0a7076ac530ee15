"""Alembic runs this for every command; the connection comes from monitor.store.migrations."""

from alembic import context

from monitor.store.migrations import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
