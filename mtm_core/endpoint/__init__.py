"""A read-only HTTP endpoint: a table of expression in, its prediction out (``mtm serve``)."""
