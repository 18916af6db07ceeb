"""Contents of each page: a module or more a page."""
