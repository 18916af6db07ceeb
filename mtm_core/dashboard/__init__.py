"""The dashboard: sessions, the server, and the parts that pages are made of."""
