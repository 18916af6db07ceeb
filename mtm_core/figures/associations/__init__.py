"""Figures of groups, traits and what predictions preserve of them."""
