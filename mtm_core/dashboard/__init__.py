"""What the pages share: the model, one session's state, tables to show, files to download."""
