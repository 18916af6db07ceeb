"""GTEx's files: download, annotations, expression."""
