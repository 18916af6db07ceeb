"""A user's table of expression as a whole: read, reported, its unit found."""
