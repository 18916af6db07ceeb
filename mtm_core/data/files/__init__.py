"""Files before anything is known of what is in them."""
