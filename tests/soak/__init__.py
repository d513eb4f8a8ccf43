"""Hours under full load, and whether anything grows: docs/decisions/0037."""
