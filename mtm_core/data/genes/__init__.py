"""Genes: ids, names, and those of a model."""
