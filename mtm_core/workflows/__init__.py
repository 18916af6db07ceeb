"""What the program does, end to end: options in, results out, with progress."""
