"""Uploads, read in a process that is shut off from the system."""
