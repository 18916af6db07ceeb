"""The server: Streamlit's, with a door of its own."""
