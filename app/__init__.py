"""Everything a person or a program talks to: pages, API, server."""
