"""Text and packages for export."""
