"""Bundled gene sets found among the genes of a result: once for all sessions of a server."""

from __future__ import annotations

from collections import deque
from threading import Lock

import pandas as pd

from mtm_core.data.gene_sets.gmt import BUNDLED_SETS, GeneSets, MatchedSets, bundled_sets
from mtm_core.workflows.enrich import ResultTable

MOST_MATCHED = 6
"""Matches that a server holds, the last made: one for each collection and list of genes."""
_matched: deque[tuple[pd.DataFrame, MatchedSets]] = deque(maxlen=MOST_MATCHED)
_lock = Lock()


def matched_sets(sets: GeneSets, result: ResultTable) -> MatchedSets:
    """Find the genes of ``sets`` among those of ``result``.

    All predicted tissues of a model have the same genes, whoever asks: finding those of a bundled
    collection takes longer than the rest of a page. A user's own sets are not held here.

    Raises
    ------
    InputFileError
        As :meth:`mtm_core.data.gene_sets.gmt.GeneSets.match`.
    """
    if sets.given not in BUNDLED_SETS or sets is not bundled_sets(sets.given):
        return sets.match(result.index)
    with _lock:
        known = list(_matched)
    for genes, matched in known:
        if matched.of is sets and genes.equals(result.genes):
            return matched
    matched = sets.match(result.index)
    with _lock:
        _matched.append((result.genes, matched))
    return matched
