"""Every predictor behind one protocol, so that they are compared, saved and served alike."""
