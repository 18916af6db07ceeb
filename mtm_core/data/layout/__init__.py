"""Which way a table lies, and which of its columns are samples."""
