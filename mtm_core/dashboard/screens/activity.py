"""What the screen of activity chooses from, scores and shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st
import xarray as xr

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.set_upload import read_uploaded
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS
from mtm_core.data.gene_sets.networks import BUNDLED_NETWORKS, Network, find_network, taken_names
from mtm_core.data.isolation.isolated import read_network_isolated
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.escaping import plain
from mtm_core.inference.prepared import Prepared
from mtm_core.workflows.activity import (
    COLUMNS,
    ActivityScoring,
    TissueActivity,
    compare_activity,
    score_tissue,
    with_part,
)

OWN_NETWORK = "Your own (table or GMT file)"
MOST_SCORES = 10_000_000
"""Scores that a session computes at a time: 80 MB."""
_NAMES = BUNDLED_NETWORKS | BUNDLED_SETS


def choose_network(session: Session) -> Network:
    """Let the user choose a bundled network or sets, or give a file; end the page without."""
    chosen = st.selectbox(
        "Network",
        [*_NAMES, OWN_NETWORK],
        format_func=lambda name: _NAMES.get(name, name),
        key="network",
        persist_state="session",
        help="Pathways or transcription factors, with their target genes. Genes of gene sets have"
        " a weight of 1.",
    )
    if chosen != OWN_NETWORK:
        return find_network(chosen)
    given = st.file_uploader(
        "Network file",
        key="network_file",
        help="A table with the columns source, target and weight (tab, comma or semicolon), or "
        "GMT; may be gzipped. The documentation says where to get CollecTRI and DoRothEA.",
    )
    if given is None:
        st.info("Upload a network, or choose a bundled one.", icon=":material/info:")
        end_page()
    network = read_uploaded(session, given, read_network_isolated, command="mtm activity")
    return network


def scored(
    prediction: xr.Dataset,
    prepared: Prepared,
    tissues: Sequence[str],
    network: Network,
    scoring: ActivityScoring,
    model: ServedModel,
    held_out: GeneAccuracy,
    on_progress: Callable[[int, int], None],
) -> tuple[list[TissueActivity], str]:
    """Score each tissue; return nothing, and the reason, if the network does not fit the model."""
    try:
        return _scored(
            prediction, prepared, tissues, network, scoring, model, held_out, on_progress
        ), ""
    except (InputFileError, SelectionError) as error:
        return [], str(error)


def _scored(
    prediction: xr.Dataset,
    prepared: Prepared,
    tissues: Sequence[str],
    network: Network,
    scoring: ActivityScoring,
    model: ServedModel,
    held_out: GeneAccuracy,
    on_progress: Callable[[int, int], None],
) -> list[TissueActivity]:
    n_scores = len(prepared.samples) * len(network) * len(tissues)
    if n_scores > MOST_SCORES:
        raise SelectionError(
            f"{n_scores:,} scores would be computed; this screen computes up to {MOST_SCORES:,}."
            " Choose fewer tissues or a smaller network, or use the command line: mtm activity."
        )
    taken_names(network, COLUMNS)
    matched = network.match(model.predictor.genes)
    parts = []
    for i, tissue in enumerate(tissues):
        on_progress(i, len(tissues))
        known = held_out.of_tissues([tissue])["rho_pooled"]
        rho = None if known.empty else known.droplevel("tissue")
        parts.append(score_tissue(prediction, prepared, tissue, matched, rho, scoring))
    if not any(part.n_scored for part in parts):
        raise SelectionError(
            f"no source has {scoring.minimum_targets} targets among the genes used for scoring."
            f" {matched.in_words()} Ask for fewer targets, or take all genes."
        )
    return parts


def part_in_words(part: TissueActivity, scoring: ActivityScoring) -> str:
    """Say of a tissue how many sources have scores, on which genes, and how accurate they are."""
    kind = (
        "measured genes"
        if part.origin == "measured"
        else "predictable genes"
        if scoring.background == "predictable"
        else "genes, predictable or not"
    )
    words = (
        f"**{plain(part.tissue)}** ({part.origin}): {part.n_scored:,} of {len(part.sources):,}"
        f" sources have scores, on {part.n_background:,} {kind}"
    )
    if part.median_rho == part.median_rho:
        words += f"; median held-out rho of their targets {part.median_rho:.2f}"
    if part.n_scored < len(part.sources):
        words += "; the others have too few targets among these genes"
    return words + "."


def differences(
    parts: Sequence[TissueActivity],
    groups: pd.Series,
    case: str,
    control: str,
    sex: pd.Series | None,
) -> pd.DataFrame:
    """Compare two groups in each tissue, one row a source; see :func:`compare_activity`."""
    tables = [
        with_part(
            part.sources.join(
                compare_activity(part, groups, case=case, control=control, sex=sex), how="right"
            ),
            part,
        )
        for part in parts
        if part.n_scored
    ]
    return pd.concat(tables, ignore_index=True)


def summary(parts: Sequence[TissueActivity]) -> pd.DataFrame:
    """Return one row a tissue and source with scores: its targets, and the spread of its scores."""
    tables = []
    for part in parts:
        spread = pd.DataFrame(
            {
                "lowest": part.scores.min(),
                "median": part.scores.median(),
                "highest": part.scores.max(),
            }
        ).dropna()
        tables.append(with_part(part.sources.join(spread, how="right"), part))
    return pd.concat(tables, ignore_index=True)
