"""File formats and programs' outputs, each read to a raw table."""
