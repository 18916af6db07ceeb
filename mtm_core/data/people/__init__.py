"""Metadata of samples and donors."""
