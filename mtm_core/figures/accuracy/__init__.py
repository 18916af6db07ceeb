"""Figures of how well genes, tissues and methods are predicted."""
