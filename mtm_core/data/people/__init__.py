"""What is known of samples and donors beside expression."""
