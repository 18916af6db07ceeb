"""Cohorts to train on."""
