"""The own cohort against the reference's associations: what two screens show alike."""

from __future__ import annotations

from collections.abc import Hashable

import pandas as pd
import streamlit as st

from mtm_core.dashboard.background import remember
from mtm_core.dashboard.layout import download_table, show_figure
from mtm_core.dashboard.session import Session
from mtm_core.dashboard.traits_view import agreement_in_words, regressed_out
from mtm_core.escaping import plain
from mtm_core.figures.association_scatter import association_scatter
from mtm_core.figures.hexbin import hexbin
from mtm_core.studies.against_reference import agreement
from mtm_core.studies.reference import ALL, ReferenceAssociations
from mtm_core.studies.resampled_effects import N_DRAWS, Effects

MOST_POINTS = 2_000
"""Genes up to which each is a point; beyond, they are counted in hexagons."""
FROM_THE_REFERENCE = (
    "The model was trained on these same donors: that its predictions follow the reference's"
    " pattern is partly what it learned, not a finding about your samples."
)
_AGREEMENT = {
    "n": st.column_config.NumberColumn("genes"),
    "pearson": st.column_config.NumberColumn("rho", format="%.2f"),
    "low": st.column_config.NumberColumn(
        "95 % from", format="%.2f", help="Of resamples of your samples, group by group."
    ),
    "high": st.column_config.NumberColumn("95 % to", format="%.2f"),
    "chance_low": st.column_config.NumberColumn(
        "by chance from",
        format="%.2f",
        help="95 % of rho under shuffled labels lie between.",
    ),
    "chance_high": st.column_config.NumberColumn("by chance to", format="%.2f"),
    "p": st.column_config.NumberColumn(
        "p, shuffled", format="%.3f", help=f"Of {N_DRAWS} shuffles, two-sided."
    ),
    "spearman": st.column_config.NumberColumn("Spearman", format="%.2f"),
    "same_sign": st.column_config.NumberColumn("same sign", format="percent"),
    "n_reference": st.column_config.NumberColumn("reference donors"),
}


def choose_adjustment(reference: ReferenceAssociations, trait: str) -> str:
    """Let the user choose what is regressed out of the reference's associations with ``trait``."""
    chosen: str = st.segmented_control(
        "Reference adjusted for",
        reference.traits[trait]["adjustments"],
        default="",
        required=True,
        format_func=lambda name: " and ".join(regressed_out(name)) or "nothing",
        key=f"adjusted_{trait}",
        persist_state="session",
        help="What is regressed out of the reference's expression and trait. The Hardy class says"
        " how a donor died.",
    )
    return chosen


def show_agreement(
    session: Session,
    points: pd.DataFrame,
    effects: Effects,
    *,
    key: Hashable,
    tissue: str,
    gene: str,
    own: str,
    reference: str,
    name: str,
    caption: str,
    equal: bool,
) -> None:
    """Show the genes of one tissue against the reference, and rho of every tissue.

    Parameters
    ----------
    points
        Of :func:`mtm_core.studies.against_reference.beside_reference`.
    effects
        What the points were computed from, to be drawn anew.
    key
        What tells ``effects`` and the reference's contrast from others of the session.
    tissue, gene
        Tissue to draw; gene id to ring.
    own, reference
        What the axes are.
    name
        Stem of the files.
    caption
        How to read the figure.
    equal
        Whether both axes are in one unit.
    """
    st.caption(FROM_THE_REFERENCE)
    predictable_only = st.toggle(
        "Predictable genes only",
        key="agreement_predictable",
        persist_state="session",
        disabled=not (points["predictable"] == "no").any(),
        help="Genes with a pooled held-out rho above 0.3 in the tissue. They were chosen on the"
        " reference's donors, not on your samples.",
    )
    kept = points[points["predictable"] != "no"] if predictable_only else points
    table = remember(
        session,
        ("agreement", key, predictable_only),
        lambda tell: agreement(kept, effects, on_progress=tell),
        slot="agreement",
        words="Shuffling and resampling",
    )
    drawn = kept[kept["tissue"] == tissue]
    if drawn.empty:
        st.info(f"No gene of {plain(tissue)} was tested on both sides.", icon=":material/info:")
    else:
        row = table[table["tissue"] == tissue].iloc[0]
        many = len(drawn) > MOST_POINTS
        show_figure(
            hexbin(drawn, x=reference, y=own, equal=equal)
            if many
            else association_scatter(drawn, x=reference, y=own, equal=equal, marked=[gene]),
            key="agreement",
            name=f"{name}_{tissue}",
            caption=f"{caption} {agreement_in_words(row)}",
            data=drawn,
            index=False,
        )
    st.header("Every tissue")
    st.dataframe(
        table,
        hide_index=True,
        key="agreement_table",
        column_config=_AGREEMENT,
    )
    download_table(table, key="agreement_rows", name=f"{name}_by_tissue", label="These rows")


def strata_table(distributions: pd.DataFrame) -> pd.DataFrame:
    """Order the distributions of one gene and name them: all donors, sexes, ages, then both.

    Parameters
    ----------
    distributions
        Of :func:`mtm_core.studies.against_reference.distributions_of`.
    """
    table = distributions.reset_index()
    order = (table["age_band"] != ALL).astype(int) + 2 * (table["sex"] != ALL).astype(int)
    # All, each sex, each age, each age of each sex.
    rank = order.map({0: 0, 2: 1, 1: 2, 3: 3})
    named = table.assign(
        stratum=[stratum_name(*pair) for pair in zip(table["sex"], table["age_band"], strict=True)],
        rank=rank,
    ).sort_values(["rank", "sex", "age_band"], kind="stable")
    return named.drop(columns="rank").reset_index(drop=True)


def stratum_name(sex: str, age_band: str) -> str:
    """Name donors by sex and age band: "female, 60-69", "all donors"."""
    return ", ".join(part for part in (sex, age_band) if part != ALL) or "all donors"


def alike_strata(own: pd.DataFrame, sample: str | None) -> list[str]:
    """Name the stratum of ``sample`` in a table of positions; none where it is not known."""
    if sample is None or "donors_alike" not in own:
        return []
    return [name for name in own.loc[own["sample"] == sample, "donors_alike"] if name]
