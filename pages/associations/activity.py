"""Activity: scores of pathways and transcription factors in each sample and tissue."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.activity import (
    choose_network,
    differences,
    part_in_words,
    scored,
    summary,
)
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    compared_people,
    own_cohort,
    prediction_from_expression,
    say_where_it_comes_from,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import choose_groups, offer_shuffle
from mtm_core.dashboard.widgets.layout import (
    download_table,
    show_figure,
    show_shell,
)
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.set_dots import MOST_SETS, set_dots
from mtm_core.figures.samples.activity_heatmap import MOST_SOURCES, activity_heatmap
from mtm_core.reporting.command_line import ActivityAsked, activity_arguments
from mtm_core.workflows.activity import (
    MINIMUM_TARGETS,
    ActivityBackground,
    ActivityMethod,
    ActivityScoring,
    scores_table,
)
from mtm_core.workflows.comparisons import groups_of

METHODS: dict[ActivityMethod, str] = {
    "ulm": "Each source alone (ulm)",
    "mlm": "All sources together (mlm)",
}
BACKGROUNDS: dict[ActivityBackground, str] = {
    "predictable": "Predictable genes",
    "all": "All genes",
}
MOST_TISSUES = 8
COLUMNS = {
    "n_targets": st.column_config.NumberColumn(
        "targets", help="Target genes among the genes used for scoring."
    ),
    "n_in_model": st.column_config.NumberColumn("in the model"),
    "median_rho": st.column_config.NumberColumn(
        "held-out rho", format="%.2f", help="Median out-of-fold rho of these targets in GTEx."
    ),
    "difference": st.column_config.NumberColumn("difference", format="%.2f"),
    "mean_case": st.column_config.NumberColumn("mean, cases", format="%.2f"),
    "mean_control": st.column_config.NumberColumn("mean, controls", format="%.2f"),
    "auc": st.column_config.NumberColumn("AUC", format="%.2f"),
    "p": st.column_config.NumberColumn("p", format="%.2g"),
    "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
    **{
        name: st.column_config.NumberColumn(f"{name} score", format="%.2f")
        for name in ("lowest", "median", "highest")
    },
}

session, model = begin_with_samples(
    "Activity",
    "How active pathways and transcription factors are in each sample, judged by the genes that"
    " respond to them: in measured and in predicted tissues.  \nA score above 0 (red) means that"
    " target genes lie above the other genes of the sample; below 0 (blue), below them.",
)
prediction, prepared = prediction_from_expression(session, model)
say_where_it_comes_from(session, model)

held_out = GeneAccuracy.of(model, session.sources)
every = [prepared.source, *prediction["tissue"].to_numpy().astype(str)]
first = st.columns([3, 2])
with first[0]:
    tissues = st.multiselect(
        "Tissues",
        every,
        default=every[:2],
        key="activity_tissues",
        max_selections=MOST_TISSUES,
        help="Each tissue is scored separately.",
    )
with first[1]:
    network = choose_network(session)
second = st.columns(3)
method = second[0].selectbox(
    "Method",
    list(METHODS),
    format_func=lambda name: METHODS[name],
    key="activity_method",
    persist_state="session",
    help="The linear models of decoupler. Fitted together, sources that share targets compete.",
)
background = second[1].selectbox(
    "Score on",
    [name for name in BACKGROUNDS if held_out.exists or name == "all"],
    format_func=lambda name: BACKGROUNDS[name],
    key="activity_background" if held_out.exists else "activity_every_gene",
    persist_state="session",
    help="Genes with an out-of-fold rho of 0.3 or less say little about the tissue.",
)
least = second[2].select_slider(
    "Minimum targets per source",
    [3, 5, 10, 15, 25, 50],
    MINIMUM_TARGETS,
    key="activity_targets",
    persist_state="session",
    help="Target genes among the genes used for scoring.",
)
if not tissues:
    st.info("Choose a tissue.", icon=":material/info:")
    end_page()

scoring = ActivityScoring(method, background, least)
parts, problem = remember(
    session,
    ("activity", network.name, network.digest, tuple(tissues), method, background, least),
    lambda tell: scored(prediction, prepared, tissues, network, scoring, model, held_out, tell),
    slot="activity",
    words="Scoring activity",
)
if not parts:
    st.info(plain_message(problem), icon=":material/info:")
    end_page()
st.warning(
    "A score is not a test: it treats genes as independent, which they are not. Compare samples or"
    " groups with each other.",
    icon=":material/warning:",
)
for part in parts:
    st.markdown(f"- {part_in_words(part, scoring)}")
with_scores = [part for part in parts if part.n_scored]

choice = None
metadata = session.own_metadata
columns = [] if metadata is None else groups_of(metadata)
if metadata is not None and columns:
    st.header("Groups")
    choice = choose_groups(metadata, columns)
    choice = choice.shuffled(offer_shuffle())
prefix = f"{session.file_stem}{'shuffled_' if choice and choice.seed is not None else ''}"
if choice is not None:
    sex = own_cohort(session, model).sex
    table = differences(parts, choice.groups, choice.case, choice.control, sex)
    drawn = table.rename(columns={"source": "set", "n_targets": "size"})
    drawn = drawn[drawn["p"].notna()]
    if len(drawn):
        show_figure(
            set_dots(drawn, tissues, value="difference", words="difference"),
            key="activity_dots",
            name=f"{prefix}activity_{choice.case}_against_{choice.control}",
            caption=f"{choice.case} (n = {choice.n_case}) against {choice.control}"
            f" (n = {choice.n_control}): difference of mean scores, for up to {MOST_SETS} sources"
            f" of {network.name} with the smallest FDR in a tissue shown. Dots are larger the"
            " smaller the FDR of the rank-sum test over the sources of a tissue.",
            data=drawn,
            index=False,
        )
    else:
        st.info(
            f"No difference was tested: {plain(table['outcome'].iloc[0])}.", icon=":material/info:"
        )
else:
    table = summary(parts)

st.header("Every sample")
by_name = {part.tissue: part for part in with_scores}
tissue = st.selectbox(
    "Tissue", list(by_name), key="activity_tissue", help="Tissue whose scores the figure shows."
)
shown = by_name[tissue]
show_figure(
    activity_heatmap(shown.scores, None if choice is None else choice.groups),
    key="activity_heatmap",
    name=f"{prefix}activity_{tissue}",
    caption=f"Scores in {tissue} ({shown.origin}), {network.name}, {METHODS[method].lower()}: the"
    f" up to {MOST_SOURCES} sources that vary most among the samples. Each column"
    " is a sample" + (", ordered by group." if choice is not None else "."),
    data=shown.scores.dropna(axis=1, how="all"),
)

st.header("Sources")
order = ["fdr", "p"] if choice is not None else ["tissue", "source"]
first_columns = [
    name
    for name in ("tissue", "source", "difference", "fdr", "p", "auc", "n_targets", "median_rho")
    if name in table
]
table = table[[*first_columns, *(name for name in table if name not in first_columns)]]
rows = show_rows(
    table.sort_values(order, kind="stable", ignore_index=True),
    key="activity_rows",
    height=380,
    columns=COLUMNS,
    listed="FDR" if choice is not None else "tissue",
)
download_table(rows, key="activity_table", name=f"{prefix}activity_sources", label="These rows")
scores = session.remember(
    ("activity scores", network.digest, network.name, tuple(tissues), method, background, least),
    lambda: pd.concat([scores_table(part) for part in parts], ignore_index=True),
)
download_table(scores, key="activity_scores", name=f"{prefix}activity_scores", label="All scores")

with st.expander("The same from the command line"):
    assert session.prediction is not None
    used, files = session.predicted_by.as_used(session.prediction), session.predicted_from
    if metadata is not None:
        used = replace(used, metadata=metadata.options)
        files = replace(files, metadata=metadata.file)
    show_shell(
        activity_arguments(
            used,
            files,
            ActivityAsked(
                network.given,
                *(method, background, least),
                tuple(name for name in tissues if name != prepared.source),
                None if choice is None else (choice.column, choice.case, choice.control),
                None if choice is None else choice.seed,
                compared_people(session).both_sexes,
            ),
            model=model.predictor.artefact.name,
            output="activity",
        )
    )
