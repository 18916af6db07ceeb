"""The own cohort against the reference's associations: what two screens show alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import cast

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.background import need, remember, start, watch
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.association_words import agreement_in_words, regressed_out
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.escaping import plain
from mtm_core.figures.associations.association_scatter import association_scatter
from mtm_core.figures.associations.hexbin import hexbin
from mtm_core.workflows.comparisons import N_DRAWS, Effects, ReferenceAssociations, agreement

MOST_POINTS = 2_000
"""Genes up to which each is a point; beyond, they are counted in hexagons."""
FROM_THE_REFERENCE = (
    "The model was trained on these same donors. Part of the agreement with the reference is "
    "therefore what the model learned, not a finding about your samples."
)
MOST_AT_ONCE = 100_000
"""Genes of all tissues together up to which every tissue is compared unasked."""
_AGREEMENT = {
    "n": st.column_config.NumberColumn("genes"),
    "pearson": st.column_config.NumberColumn("rho", format="%.2f"),
    "low": st.column_config.NumberColumn(
        "95 % from", format="%.2f", help="Interval from resampling your samples within each group."
    ),
    "high": st.column_config.NumberColumn("95 % to", format="%.2f"),
    "chance_low": st.column_config.NumberColumn(
        "by chance from",
        format="%.2f",
        help="95 % of the rho values with shuffled labels lie in this range.",
    ),
    "chance_high": st.column_config.NumberColumn("by chance to", format="%.2f"),
    "p": st.column_config.NumberColumn(
        "p, shuffled", format="%.3f", help=f"From {N_DRAWS} shuffles, two-sided."
    ),
    "spearman": st.column_config.NumberColumn("Spearman", format="%.2f"),
    "same_sign": st.column_config.NumberColumn("same sign", format="percent"),
    "n_reference": st.column_config.NumberColumn("reference donors"),
}


def need_associations(model: ServedModel) -> ReferenceAssociations:
    """Return the associations of the model's cohort; without them, say how to make them and end."""
    if model.associations is None:
        say_no_associations()
        end_page()
    return model.associations


def say_no_associations() -> None:
    """Say that the model has no associations of its cohort, and how to make them."""
    st.info(
        "This model has no associations of its reference cohort. Make them with"
        " `mtm study reference`.",
        icon=":material/info:",
    )


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
        help="What is regressed out of the reference's expression and trait. The Hardy scale "
        "says how a donor died.",
    )
    return chosen


def show_agreement(
    session: Session,
    tissues: Sequence[str],
    points_of: Callable[[str], pd.DataFrame],
    effects: Effects,
    *,
    n_genes: int,
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
    tissues
        All there are.
    points_of
        Gives the points of one of them, as
        :func:`mtm_core.studies.against_reference.beside_reference` does.
    effects
        Effects that the points were computed from, to be resampled.
    n_genes
        Number of genes of the model. If there are many, all tissues are compared only on request.
    key
        Key of ``effects`` and of the reference's contrast within the session.
    tissue, gene
        Tissue to draw; gene id to ring.
    own, reference
        Titles of the axes.
    name
        Stem of the files.
    caption
        How to read the figure.
    equal
        Whether both axes are in one unit.
    """
    st.caption(FROM_THE_REFERENCE)
    points = remember(
        session,
        ("points", key, tissue),
        lambda _: points_of(tissue),
        slot="points",
        words=f"Comparing {tissue}",
    )
    predictable_only = st.toggle(
        "Predictable genes only",
        key="agreement_predictable",
        persist_state="session",
        disabled=not (points["predictable"] == "no").any(),
        help="Genes with a pooled held-out rho above 0.3 in the tissue. They were chosen with "
        "the reference donors, not with your samples.",
    )
    drawn = _chosen_points(points, predictable_only)
    if drawn.empty:
        st.info(
            f"No gene of {plain(tissue)} was tested both in your samples and in the reference.",
            icon=":material/info:",
        )
    else:
        row = remember(
            session,
            ("agreement", key, tissue, predictable_only),
            lambda tell: agreement(drawn, effects, on_progress=tell),
            slot="agreement",
            words="Shuffling and resampling",
        ).iloc[0]
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

    def compare_all(tell: Progress) -> pd.DataFrame:
        rows = []
        for i, name in enumerate(tissues):
            tell(i, len(tissues))
            if not (own_points := _chosen_points(points_of(name), predictable_only)).empty:
                rows.append(agreement(own_points, effects))
        return pd.concat(rows, ignore_index=True)

    whole = ("agreement", key, "every tissue", predictable_only)
    task = session.remembering(
        whole, compare_all, slot="agreement of all", words="Comparing every tissue", is_long=True
    )
    if task is not None and len(tissues) * n_genes <= MOST_AT_ONCE:
        need(session, task)
    elif task is not None:
        job = session.jobs.of(task.slot)
        if job is None or job.is_over or job.key != task.key:
            st.caption(
                f"{len(tissues)} tissues of {n_genes:,} genes, shuffled and resampled {N_DRAWS} "
                f"times each, take a while. You can leave the page meanwhile."
            )
            st.button(
                "Compare every tissue",
                icon=":material/play_arrow:",
                key="compare_all",
                on_click=start,
                args=(session, task),
            )
        if job is None or job.key != task.key or watch(session, task.slot) or job.state != "done":
            return
        st.rerun()
    table = cast("pd.DataFrame", session.recall(whole))
    st.dataframe(
        table,
        hide_index=True,
        key="agreement_table",
        column_config=_AGREEMENT,
    )
    download_table(table, key="agreement_rows", name=f"{name}_by_tissue", label="These rows")


def _chosen_points(points: pd.DataFrame, predictable_only: bool) -> pd.DataFrame:
    return points[points["predictable"] != "no"] if predictable_only else points
