"""Gene sets: which of them a result is enriched for, with the predictable genes as background."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.enrichment import (
    PREDICTABLE,
    choose_result,
    choose_sets,
    counts_in_words,
    enriched_tissues,
    joined,
    results_of,
)
from mtm_core.dashboard.screens.enrichment_samples import CORRELATED, show_by_samples
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.cohort_view import show_comparison
from mtm_core.dashboard.widgets.layout import begin, download_table, show_figure, show_shell
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.set_dots import MOST_SETS, set_dots
from mtm_core.workflows.enrich import EITHER, HIGHER, LOWER, Background, EnrichmentOptions

RANKED, OVER = "Pre-ranked (GSEA)", "Over-representation"
BACKGROUNDS: dict[Background, str] = {
    "predictable": "Predictable genes",
    "tested": "All tested genes",
}
MOST_TISSUES = 8
COLUMNS = {
    "nes": st.column_config.NumberColumn(
        "NES",
        format="%.2f",
        help="Normalised enrichment score: the score divided by its mean "
        "for random sets of that size.",
    ),
    "es": st.column_config.NumberColumn("ES", format="%.3f"),
    "p": st.column_config.NumberColumn("p", format="%.2g"),
    "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
    "size": st.column_config.NumberColumn(
        "genes", help="Genes of the set that are in the background."
    ),
    "overlap": st.column_config.NumberColumn("found", help="Genes of the set that were found."),
    "expected": st.column_config.NumberColumn("by chance", format="%.1f"),
    "odds_ratio": st.column_config.NumberColumn("odds ratio", format="%.2f"),
    "n_leading": st.column_config.NumberColumn("leading", help="Genes up to the peak."),
    "n_selected": st.column_config.NumberColumn("genes found"),
    "n_background": st.column_config.NumberColumn("background"),
    "genes": st.column_config.TextColumn("which genes", width="large"),
}

session, model = begin(
    "Gene sets",
    "Which gene sets a result is enriched for, in blood and in predicted tissues.  \nEach dot is a"
    " set in a tissue; the larger, the less likely to be chance; red is higher, blue lower.",
)
kinds = results_of(model)
kind = st.segmented_control(
    "Result",
    kinds,
    default=kinds[0],
    required=True,
    key="set_result",
    persist_state="session",
    help="The results to test: from your samples, or from the studies beside the model.",
)
result = choose_result(kind, session, model)

first = st.columns([3, 2])
with first[0]:
    tissues = st.multiselect(
        "Tissues",
        result.tissues,
        default=result.tissues[:2],
        key=f"set_tissues_{kind}",
        max_selections=MOST_TISSUES,
        help="Each tissue is tested separately.",
    )
with first[1]:
    sets = choose_sets(session)
second = st.columns(4)
test = second[0].selectbox(
    "Test",
    [RANKED, OVER, CORRELATED],
    key="set_test",
    persist_state="session",
    help="Pre-ranked uses the order of all genes; over-representation, the genes at an FDR. Both"
    " treat genes as independent. The sample-based test does not, and is recommended for predicted"
    " tissues; it needs two groups of your samples.",
)
background = second[1].selectbox(
    "Background",
    list(BACKGROUNDS),
    format_func=lambda name: BACKGROUNDS[name],
    key="set_background",
    persist_state="session",
    disabled=kind == PREDICTABLE,
    help="Only predictable genes (out-of-fold rho above 0.3) can come out of predictions."
    " Against all genes, every result looks enriched for the functions of predictable genes.",
)
directions = [EITHER, HIGHER, LOWER]
direction = second[2].selectbox(
    "Direction",
    directions,
    key="set_direction",
    persist_state="session",
    help="Direction of the change, or of the correlation with the trait.",
)
least = second[3].select_slider(
    "Minimum genes per set",
    [3, 5, 10, 15, 25, 50],
    10,
    key="set_size",
    persist_state="session",
    help="Genes in the background; sets have at most 500.",
)
if not tissues:
    st.info("Choose a tissue.", icon=":material/info:")
    end_page()

options = EnrichmentOptions(background, minimum_size=least)
if test == CORRELATED:
    show_by_samples(session, model, result, tissues, sets, options, direction)
    end_page()
key = ("enriched", result.key, tuple(tissues), sets.name, sets.digest, background, least)
parts, ranked_by, matched = remember(
    session,
    key,
    lambda tell: enriched_tissues(
        result, tissues, sets, options, model.predictor.artefact.genes["entrez"], tell
    ),
    slot="enriched",
    words="Testing gene sets",
    is_long=len(tissues) > 1,
)
if not parts:
    st.info(plain_message(matched), icon=":material/info:")
    end_page()
st.warning(
    "This test treats genes as independent. But genes of a set are expressed together, and "
    "predicted genes depend on the same few factors, so p is too small."
    + (
        " **Labels are shuffled**: whatever is found here is chance."
        if result.is_shuffled
        else " Shuffle the labels to see what chance gives. For two groups of your samples, the"
        " sample-based test (CAMERA) allows for the correlation; it is recommended for predicted"
        " tissues."
        if result.command
        else ""
    ),
    icon=":material/warning:",
)
st.caption(plain_message(matched))
for part in parts:
    st.markdown(f"- {counts_in_words(part, options)}")

table = joined(parts, "ranked" if test == RANKED else "over_represented")
if len(table) and not (test == RANKED and direction == EITHER):
    has = set(table["direction"])
    table = table[table["direction"] == (direction if direction in has else EITHER)]
if table.empty:
    st.info(
        f"No set of {plain(sets.name)} has {least} to 500 genes in the background"
        + (" and a gene that was found." if test == OVER else ".")
        + " Choose smaller sets, all tested genes, or other sets.",
        icon=":material/info:",
    )
    end_page()
table = table.sort_values(["fdr", "p"], kind="stable", ignore_index=True)
name = f"{session.file_stem if result.command else ''}gene_sets"
drawn = table.drop(columns="genes")
if test == OVER:
    drawn = drawn.assign(fold=(drawn["overlap"] / drawn["expected"]).clip(upper=100))
value, words = ("nes", "NES") if test == RANKED else ("fold", "found / by chance")
show_figure(
    set_dots(drawn, tissues, value=value, words=words),
    key="set_dots",
    name=name,
    caption=f"{result.name}: the {MOST_SETS} sets of {sets.name} with the smallest FDR in a tissue"
    f" shown. {test}. Background:"
    f" {BACKGROUNDS['tested' if kind == PREDICTABLE else background].lower()}."
    f" Genes ranked by {ranked_by}."
    + (
        " NES: enrichment score over the mean of random sets of that size; above 0, the set's genes"
        " are at the upper end."
        if test == RANKED
        else " Colour: genes found over what chance gives."
    ),
    data=drawn,
    index=False,
)
st.header("Sets")
rows = show_rows(table, key="set_rows", height=420, columns=COLUMNS, listed="FDR")
download_table(rows, key="set_table", name=name, label="All sets")
if result.command:
    with st.expander("The same from the command line"):
        assert result.comparison is not None
        show_comparison(session, model, result.comparison)
        show_shell(
            [
                *("mtm", "enrich", *result.command, "--gene-sets", sets.given),
                *("--background", background, "--min-size", str(least)),
                *("--model", model.predictor.artefact.name),
                *("--tissues", ",".join(f'"{t}"' if "," in t else t for t in tissues)),
                *("--output", "enriched"),
            ]
        )
        st.caption(
            "The first command makes the table that the last one reads. mtm enrich can also test "
            "all tissues at once."
        )
