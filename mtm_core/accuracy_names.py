"""Names of the figures of accuracy that changed: earlier tables and models are read by today's."""

from __future__ import annotations

_EARLIER = (
    ("gene_rho_partial_pooled", "gene_adjusted_rho_pooled"),
    ("gene_rho_partial", "gene_adjusted_rho_by_fold"),
    ("partial_rho_pooled", "adjusted_rho_pooled"),
    ("partial_rho", "adjusted_rho_by_fold"),
    ("gene_rho_without_composition", "gene_rho_adjusted_for_composition"),
    ("rho_without_composition", "rho_adjusted_for_composition"),
)
"""Beginning of the name until version 0.1.0, and today's; the longer one first."""


def current_name(name: str) -> str:
    """Return today's name of a figure, with what follows it, such as ``_mean``.

    Examples
    --------
    >>> from mtm_core.accuracy_names import current_name
    >>> current_name("gene_rho_partial_mean"), current_name("rho_pooled")
    ('gene_adjusted_rho_by_fold_mean', 'rho_pooled')
    """
    for earlier, current in _EARLIER:
        if name.startswith(earlier):
            return current + name.removeprefix(earlier)
    return name
