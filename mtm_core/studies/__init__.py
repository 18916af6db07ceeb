"""What predictions keep of biology: studies of out-of-fold predictions, reference associations."""
