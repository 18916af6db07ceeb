"""Contents of each page, in modules that begin with its name."""
