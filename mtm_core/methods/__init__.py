"""Prediction methods behind one protocol, by which all are compared, saved and served."""
