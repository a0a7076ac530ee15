"""The database: access, tables, migrations, backups. The SQL of a subject is in its own room."""
