"""The database: access, tables, migrations, backups. The SQL of a subject is in its own room."""

# Whoever takes METADATA from `tables` gets all tables.
from monitor.store import sign_in_tables as sign_in_tables
