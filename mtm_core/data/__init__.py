"""Data: GTEx files, cohorts, users' tables, and what brings one to the scale of the other."""
