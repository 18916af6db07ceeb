"""Results in, plotly figures out. Pure functions: no files, no state, no numbers made here."""
