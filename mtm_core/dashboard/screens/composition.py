"""Blood composition of the session's samples, and where it is used."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.state.background import need, remember
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.results import OF_TABLE
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import TRAITS_PAGE, download_table, show_figure
from mtm_core.escaping import plain_message
from mtm_core.evaluation.composition_table import N_KNOWN
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.figures.samples.composition import (
    MOST_BARS,
    composition_bars,
    composition_strips,
)
from mtm_core.inference.blood_cells import (
    CELLS,
    BloodComposition,
    is_enough,
    markers_found,
)
from mtm_core.reporting.model_card import composition_from
from mtm_core.workflows.comparisons import groups_of
from mtm_core.workflows.composition import (
    BLOOD,
    composition_of,
    is_in_metadata,
    with_composition,
)
from mtm_core.workflows.server_limits import preparing_bytes

_SHARES: dict[str, ColumnConfig | str | None] = {
    name: st.column_config.NumberColumn(format="percent") for name in CELLS
}


def markers_of(session: Session) -> pd.DataFrame:
    """Count the genes of the signature in the session's table."""
    table = session.table
    assert table is not None
    ids = [str(name) for name in table.values.columns]
    return session.remember((OF_TABLE, "markers of blood cells"), lambda: markers_found(ids))


def can_be_estimated(session: Session, markers: pd.DataFrame) -> bool:
    """Tell whether the composition can be estimated; say why where not."""
    if session.source != BLOOD:
        st.info(
            "Blood composition is estimated only for whole blood; these samples are of another "
            "tissue.",
            icon=":material/info:",
        )
        return False
    if not is_enough(markers):
        st.info(
            f"The composition cannot be estimated: {int(markers['found'].sum())} of the"
            f" {int(markers['in_all'].sum())} marker genes of blood cells are in the table; 10 "
            f"for each cell type are needed. Upload a table of all genes, or add shares that you "
            f"counted or estimated elsewhere to the metadata.",
            icon=":material/info:",
        )
        st.dataframe(markers.reset_index(), hide_index=True, key="markers")
        return False
    return True


def estimated(session: Session, model: ServedModel) -> BloodComposition:
    """Estimate the composition of the session's samples in the background."""
    table = session.table
    assert table is not None
    need(session, session.preparing(model.predictor))
    prepared = session.prepare(model.predictor)
    n_samples, n_columns = table.values.shape
    return remember(
        session,
        (OF_TABLE, "composition", prepared.unit),
        lambda _: composition_of(table, prepared),
        slot="composition",
        words="Estimating the composition",
        memory=preparing_bytes(n_samples, n_columns, 0),
    )


def show_shares(session: Session, shares: pd.DataFrame, *, key: str, caption: str) -> None:
    """Draw shares, by groups of the metadata where the user asks for it, and their table."""
    metadata = session.own_metadata
    by = st.selectbox(
        "Groups",
        [] if metadata is None else groups_of(metadata),
        index=None,
        placeholder="none" if metadata is not None else "needs metadata",
        disabled=metadata is None,
        key=f"{key}_groups",
        persist_state="session",
        help="Shows the groups of a metadata column separately, each with its median.",
    )
    groups = None if metadata is None or by is None else metadata.groups(by)
    table = shares.rename_axis("sample").reset_index()
    if len(shares) <= MOST_BARS:
        show_figure(
            composition_bars(shares),
            key=f"{key}_bars",
            name=f"{session.file_stem}composition_bars",
            caption="Each bar is a sample. " + caption,
            data=table,
            index=False,
        )
    if groups is not None:
        table = table.assign(group=table["sample"].map(groups))
    show_figure(
        composition_strips(shares, groups),
        key=f"{key}_strips",
        name=f"{session.file_stem}composition",
        caption="Each mark is a sample; the line is the median.",
        data=table,
        index=False,
    )
    st.dataframe(table, hide_index=True, height=300, key=f"{key}_table", column_config=_SHARES)
    download_table(
        table, key=f"{key}_rows", name=f"{session.file_stem}composition", label="These shares"
    )


def offer_as_covariates(session: Session, composition: BloodComposition) -> None:
    """Let the shares become columns of the metadata, to adjust comparisons for."""
    if is_in_metadata(session.metadata):
        st.success(
            "The shares are now columns of the metadata: choose them under 'Adjust for' on "
            "*Traits*, and wherever you choose covariates.",
            icon=":material/check:",
        )
        st.page_link(TRAITS_PAGE, label="Correlate with a trait", icon=":material/trending_up:")
        return
    if st.button(
        "Add the shares to the metadata",
        type="primary",
        icon=":material/add:",
        key="add_composition",
        help="As columns of numbers, to colour figures by and to adjust associations for.",
    ):
        session.metadata = with_composition(session.metadata, composition)
        save(session)
        st.rerun()


def adjusted_for_composition(tables: EvaluationTables | None, method: str) -> pd.DataFrame | None:
    """Return donors and rho of each tissue, raw and adjusted; ``None`` if it was not scored."""
    columns = ["gene_rho_composition_known", "gene_rho_adjusted_for_composition"]
    if tables is None or not set(columns) <= set(tables.tissues):
        return None
    own = tables.tissues[tables.tissues["method"] == method]
    adjusted = "adjusted for composition"
    if own[columns].isna().all(axis=None):
        return None
    named = own[["tissue", *columns]].set_axis(["tissue", "rho", adjusted], axis=1)
    if N_KNOWN in tables.gene_columns:
        of_one = tables.genes_of(method, genes=[tables.gene_ids[0]], columns=[N_KNOWN])
        donors = named["tissue"].map(of_one.set_index("tissue")[N_KNOWN])
        named.insert(1, "donors", donors.astype("Int64"))
    return named.sort_values(adjusted, ascending=False).reset_index(drop=True)


def show_adjusted_for_composition(session: Session, model: ServedModel) -> None:
    """Show the out-of-fold rho of the model, adjusted for blood composition."""
    table = adjusted_for_composition(model.evaluation, model.predictor.artefact.method.name)
    if table is None:
        st.info(
            "The evaluation of this model does not say. `mtm evaluate` and `mtm build` score it"
            " where the cohort has the genes that tell blood cells apart, or with `--composition`.",
            icon=":material/info:",
        )
        return
    st.dataframe(
        table,
        hide_index=True,
        key="adjusted_for_composition",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in list(table)[-2:]
        },
    )
    st.caption(
        "Out-of-fold rho, means over genes of the donors of known composition, and the same with"
        " the shares of blood cells regressed out of prediction and measurement. "
        + plain_message(composition_from(model.evaluation))
        + " *Predictability* has it gene by gene."
    )
    download_table(
        table,
        key="adjusted_for_composition_rows",
        name=f"{session.file_stem}adjusted_for_composition",
        label="These rows",
    )
