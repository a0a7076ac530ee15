"""The database: access, tables, migrations, backups. The SQL of a subject is in its own room."""

# Every module with tables, so that METADATA knows all of them whichever module is imported first.
from monitor.store import audit_tables, burst_tables, sign_in_tables, tables

__all__ = ["audit_tables", "burst_tables", "sign_in_tables", "tables"]
