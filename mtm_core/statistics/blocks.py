"""Walk over the genes of a wide matrix a few at a time.

Between the float32 that a matrix comes in and a number a gene lie several float64 copies. Of a few
hundred genes at a time they stay in the processor's cache: many times faster than of 20,000 at
once, in a hundredth of the memory, and to the bit the same, as no gene's number needs another gene.
"""

from __future__ import annotations

from collections.abc import Iterator

GENES_AT_ONCE = 512


def gene_blocks(n_genes: int) -> Iterator[slice]:
    """Yield slices of at most ``GENES_AT_ONCE`` that cover ``n_genes``, in order."""
    for start in range(0, n_genes, GENES_AT_ONCE):
        yield slice(start, min(start + GENES_AT_ONCE, n_genes))
