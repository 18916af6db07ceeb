"""Statistics on arrays: no files, no models, no figures."""
