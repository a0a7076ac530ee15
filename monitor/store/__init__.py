"""The database: access, tables, migrations, backups. The SQL of a subject is in its own room."""

# Whoever takes METADATA from one module of tables sees those of all.
from monitor.store import audit_tables as audit_tables
from monitor.store import tables as tables
