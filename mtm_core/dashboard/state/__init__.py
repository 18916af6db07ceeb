"""What a session and the server hold."""
