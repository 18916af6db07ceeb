"""A user's table in, other tissues out."""
