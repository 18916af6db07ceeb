"""What leaves the program as prose or as a package."""
