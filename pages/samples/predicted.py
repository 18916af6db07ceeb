"""Predicted expression: choose tissues, predict, look at all samples or at one gene, take it home.

The chosen tissue, gene and view stand in the page's address; data never do.
"""

from __future__ import annotations

import shlex
from functools import partial

import streamlit as st

from mtm_core.dashboard.downloads import file_name, prediction_bytes
from mtm_core.dashboard.evaluated import bring_along
from mtm_core.dashboard.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.layout import (
    UPLOAD_PAGE,
    begin,
    download_table,
    example_button,
    mark_simulated,
    show_figure,
)
from mtm_core.dashboard.resources import served_model
from mtm_core.dashboard.session import current_session
from mtm_core.dashboard.views import (
    gene_labels,
    heatmap_data,
    interval_of_gene,
    log2_of_gene,
    most_informative,
    reference_of_gene,
    rows_of,
    strips_data,
    z_of_gene,
    z_of_tissue,
)
from mtm_core.errors import MTMError
from mtm_core.figures.gene_strips import expression_strips
from mtm_core.figures.heatmap import z_heatmap
from mtm_core.inference.command_line import predict_arguments

MOST_ROWS = 100_000
"""Rows of a table that the browser can search."""
MOST_STYLED = 20_000
"""Rows of a table that are greyed one by one."""
HEATMAP, GENE, TABLE = "All samples", "One gene", "Table"
BY_GENE, BY_TISSUE = "Genes of one tissue", "Tissues of one gene"

session, model = current_session(), served_model()
predictor = model.predictor
artefact = predictor.artefact
begin(
    "Predicted expression",
    "What to expect in other tissues of the same persons. Each value is as good as the held-out"
    " accuracy (rho) of its gene in its tissue.",
    session,
    model,
)

if session.table is None:
    st.info("No samples yet. Upload a table first, or try the example.", icon=":material/info:")
    with st.container(horizontal=True):
        if st.button("Upload your samples", type="primary", key="to_upload"):
            st.switch_page(UPLOAD_PAGE)
        example_button(session, model)
    st.stop()
mark_simulated(session)

choice, action = st.columns([5, 1], vertical_alignment="bottom")
with choice:
    session.targets = tuple(
        st.multiselect(
            "Tissues to predict",
            [tissue for tissue in predictor.tissues if tissue != session.source],
            default=session.chosen_targets(predictor),
            key="targets",
            help="Type to search. 'Select all' is at the top of the list.",
        )
    )
with action:
    go_on = st.button("Predict", type="primary", icon=":material/play_arrow:", key="predict")
if go_on:
    try:
        with st.spinner("Predicting…", show_time=True):
            session.predict(predictor)
    except MTMError as error:
        st.error(str(error), icon=":material/error:")

prediction = session.prediction
if prediction is None:
    st.info("Choose tissues, then press **Predict**.", icon=":material/arrow_upward:")
    st.stop()
if not session.is_current(predictor):
    st.warning(
        "The choice has changed since: the results below are of the choice before. Press"
        " **Predict** to bring them up to date.",
        icon=":material/update:",
    )

unit, source = prediction.attrs["unit"], prediction.attrs["source"]
held_out = GeneAccuracy.of(model, source)
tissues = [str(tissue) for tissue in prediction["tissue"].values]
samples = [str(sample) for sample in prediction["sample"].values]
labels = gene_labels(artefact.genes)
n_told = int(prediction["informed"].sum())
told_words = (
    f" · told age and sex of {n_told:,} samples (held-out rho is of blood alone, a little lower)"
    if n_told
    else " · from expression alone: metadata with age and sex make predictions a little better"
)
st.caption(
    f"{len(samples):,} samples of {source} · {len(tissues)} tissues ·"
    f" {len(labels):,} genes · expression in {unit}, z-scores against the GTEx donors of the tissue"
    f" · alignment: {prediction.attrs['alignment']}" + (told_words if predictor.covariates else "")
)

with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
    view = st.segmented_control(
        "View",
        [HEATMAP, GENE, TABLE],
        default=HEATMAP,
        required=True,
        key="view",
        bind="query-params",
    )
    columns_are, highlighted = BY_GENE, None
    all_tissues = all_genes = False
    if view == HEATMAP:
        columns_are = st.segmented_control(
            "Columns",
            [BY_GENE, BY_TISSUE],
            default=BY_GENE,
            required=True,
            key="columns",
            persist_state="session",
        )
    elif view == GENE:
        highlighted = st.selectbox(
            "Mark a sample",
            samples,
            index=None,
            placeholder="none",
            key="highlighted",
            persist_state="session",
            width=240,
        )
    else:
        chosen_samples = st.multiselect(
            "Samples",
            samples,
            placeholder="all samples",
            key="table_samples",
            persist_state="session",
            width=220,
        )
        all_tissues = st.toggle("All predicted tissues", key="all_tissues", persist_state="session")
        all_genes = st.toggle("All genes", True, key="all_genes", persist_state="session")
tissue_column, gene_column, toggle_column = st.columns([2, 2, 2], vertical_alignment="bottom")
with tissue_column:
    bring_along("tissue", tissues)
    tissue = st.selectbox(
        "Tissue",
        tissues,
        key="tissue",
        bind="query-params",
        disabled=view == GENE or columns_are == BY_TISSUE or all_tissues,
    )
with gene_column:
    bring_along("gene", list(labels))
    label = st.selectbox(
        "Gene",
        list(labels),
        key="gene",
        bind="query-params",
        disabled=(view == HEATMAP and columns_are == BY_GENE) or all_genes,
    )
    gene = labels[label]
with toggle_column:
    predictable_only = st.toggle(
        "Predictable genes only",
        key="predictable_only",
        persist_state="session",
        disabled=not held_out.exists or view == GENE,
        help="Genes with a pooled held-out rho above 0.3 in the tissue. Others are shown greyed.",
    )
if not held_out.exists:
    st.caption(
        f":material/help: Predictions of this model from {source} were **not evaluated**: no"
        " held-out rho can stand beside the values, and no gene is greyed."
    )

if view == HEATMAP:
    if columns_are == BY_GENE:
        z = z_of_tissue(prediction, tissue, labels)
        accuracy = held_out.of_pairs([tissue] * len(labels), list(labels.values()))
        where, unit_of_columns = tissue, "gene"
    else:
        z = z_of_gene(prediction, gene)
        accuracy = held_out.of_pairs(tissues, [gene] * len(tissues))
        where, unit_of_columns = label, "tissue"
    accuracy.index = z.columns
    if predictable_only:
        z = z.loc[:, accuracy["predictable"] == "yes"]
    if z.empty:
        st.info(
            f"Nothing is predictable in {where}. Turn off 'Predictable genes only' to see it"
            " greyed."
        )
        st.stop()
    rho = accuracy["rho_by_fold"] if held_out.exists else None
    shown = most_informative(z, rho)
    caption = (
        f"Predicted z-scores, {where}: each row a sample, each column a {unit_of_columns}. 0 is the"
        f" mean of the GTEx donors, red above, blue below."
    )
    if held_out.exists:
        caption += (
            " Bars: held-out rho, by fold; columns are ordered by it, and greyed where the pooled"
            " rho is 0.3 or less."
        )
    if shown.shape[1] < z.shape[1]:
        caption += f" The {shown.shape[1]} of {z.shape[1]:,} that stand first are drawn."
    show_figure(
        z_heatmap(
            shown,
            rho,
            column=unit_of_columns,
            unpredictable=list(accuracy.index[accuracy["predictable"] == "no"]),
        ),
        key="z",
        name=f"{session.file_stem}z_{where}",
        caption=caption,
        data=heatmap_data(shown, rho),
    )

elif view == GENE:
    values, reference = log2_of_gene(prediction, gene), reference_of_gene(artefact, gene)
    interval = interval_of_gene(prediction, gene, highlighted) if highlighted else None
    show_figure(
        expression_strips(
            values,
            reference,
            unit=unit,
            colours=artefact.tissues["colour"],
            accuracy={t: held_out.in_words(t, gene) for t in tissues},
            highlighted=highlighted,
            interval=interval,
        ),
        key="expression",
        name=f"{session.file_stem}expression_{label}",
        caption=f"{label}: predicted expression of each sample (points) over the GTEx donors of the"
        " tissue: the pale bar holds 90 % of them, the strong bar half, the tick is their median."
        " At the right, the held-out accuracy of this gene in that tissue. Predictions shrink"
        " towards the mean: they spread less than the donors do. "
        + (
            f" The line of a marked sample is its interval: {prediction.attrs['interval']}."
            if interval is not None
            else ""
        ),
        data=strips_data(values, reference, interval),
    )

else:
    rows = rows_of(
        prediction,
        held_out,
        tissues=tissues if all_tissues else [tissue],
        genes=list(labels.values()) if all_genes else [gene],
        samples=chosen_samples or samples,
        predictable_only=predictable_only,
    )
    shown_rows = rows.iloc[:MOST_ROWS]
    grey = held_out.exists and len(shown_rows) <= MOST_STYLED
    st.dataframe(
        shown_rows.style.apply(
            lambda row: ["color: #8794A1" if row["predictable"] == "no" else ""] * len(row), axis=1
        )
        if grey
        else shown_rows,
        hide_index=True,
        height=520,
        key="rows",
        column_order=[column for column in shown_rows if column != "gene_id"] + ["gene_id"],
        column_config={
            "gene_id": "gene id",
            "expression": st.column_config.NumberColumn(f"expression ({unit})", format="%.3f"),
            "z": st.column_config.NumberColumn("z", format="%.3f"),
            "lower": st.column_config.NumberColumn("90 % from", format="%.3f"),
            "upper": st.column_config.NumberColumn("90 % to", format="%.3f"),
            "rho_by_fold": st.column_config.NumberColumn("rho, by fold", format="%.2f"),
            "rho_pooled": st.column_config.NumberColumn("rho, pooled", format="%.2f"),
        },
    )
    st.caption(
        f"{len(shown_rows):,} of {len(rows):,} rows. Predictable: a pooled held-out rho above 0.3."
        + (f" Interval: {prediction.attrs['interval']}." if "lower" in prediction else "")
        + (" Filter to see others." if len(shown_rows) < len(rows) else "")
    )
    download_table(
        shown_rows,
        key="predicted_rows",
        name=f"{session.file_stem}predicted_rows",
        label="These rows",
    )

st.header("Everything")
interval_columns = (
    "; `lower` and `upper` bound the 90 % interval of `expression`" if "lower" in prediction else ""
)
st.markdown(
    f"All {len(samples):,} samples, {len(tissues)} tissues and {len(labels):,} genes."
    " CSV and parquet have one row a sample, tissue and gene: `sample`, `tissue`, `gene_id`,"
    f" `gene`, `expression` ({unit}) and `z`{interval_columns}. Every file is for"
    " research use, not for diagnosis, and its name says so."
)
with st.container(horizontal=True):
    for ending, name in ((".csv", "CSV"), (".parquet", "Parquet"), (".h5ad", "h5ad")):
        st.download_button(
            name,
            partial(prediction_bytes, prediction, ending),
            file_name=file_name(f"{session.file_stem}predicted_{artefact.name}", ending),
            key=f"download_all_{ending[1:]}",
            on_click="ignore",
            icon=":material/download:",
        )
with st.expander("The same from the command line"):
    told = session.metadata if predictor.covariates else None
    command = predict_arguments(
        prediction,
        session.table.report.file,
        output="predicted.csv",
        metadata=None if told is None else told.file,
    )
    st.code(shlex.join(command), language="bash", wrap_lines=True)
    st.caption(f"Model SHA-256 {artefact.sha256}, mtm {prediction.attrs['mtm_version']}.")
