"""State of a session and of the server."""
