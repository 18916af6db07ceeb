"""Judgement of the unit of a table by its values."""
