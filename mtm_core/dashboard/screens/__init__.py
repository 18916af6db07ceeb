"""What one page shows: a module a page."""
