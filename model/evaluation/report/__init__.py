"""A comparison in words, tables and charts: the page shows it, the report keeps it."""
