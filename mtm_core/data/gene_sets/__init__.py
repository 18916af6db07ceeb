"""Gene sets: those that come with the program, and files that bring others."""
