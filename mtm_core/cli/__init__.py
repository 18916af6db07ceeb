"""The command line: ``mtm``."""
