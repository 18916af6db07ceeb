"""Figures of samples, measured and predicted."""
