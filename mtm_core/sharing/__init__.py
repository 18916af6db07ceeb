"""Models as things to get and share: from a server, from a disk, and to be uploaded."""
