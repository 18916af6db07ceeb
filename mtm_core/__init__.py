"""Multi-tissue transcriptome mapping: one person's blood in, the expression of 48 tissues out."""

__version__ = "0.1.0"
