"""Studies: of out-of-fold predictions, of a user's samples, and GTEx's own associations."""
