"""The MTM model: four networks and their losses."""
