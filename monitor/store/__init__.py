"""Everything that is remembered: tables, migrations and every SQL statement of the product."""
