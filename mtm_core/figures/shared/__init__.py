"""Colours, marks and rows that several figures share."""
