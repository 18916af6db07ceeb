"""The four views of the screen of latent codes: donors, decoding, genes and samples."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mtm_core.dashboard.screens.latent import (
    SIMILARITY,
    agreement_in_words,
    code_pairs,
    codes_in_words,
    colour_columns,
    colour_values,
    decoding_of,
    layer_table,
    predictability_of,
    sample_map_of,
)
from mtm_core.dashboard.state.background import need
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import need_samples
from mtm_core.dashboard.widgets.evaluated import bring_along
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.errors import SelectionError
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.tissue_pairs import code_likeness, likeness_scatter
from mtm_core.figures.shared.maps import sample_map, tissue_map
from mtm_core.workflows.latent_codes import LatentModel

PROFILES = "similarity of the tissues' mean profiles (rho)"


def show_donors(model: ServedModel) -> None:
    """Show how alike codes of one donor are, beside those of others."""
    artefact, studies = model.predictor.artefact, model.studies
    if studies.latent is None and studies.latent_held_out is None:
        st.info(
            f"**{plain(artefact.name)}** has no study of its codes. Make it with `mtm study "
            f"latent COHORT --output MODEL/studies/latent`, and for held-out donors with"
            " `--folds folds.json --output MODEL/studies/latent_held_out`.",
            icon=":material/info:",
        )
        end_page()
    pairs = code_pairs(studies)
    show_figure(
        code_likeness(pairs, SIMILARITY),
        key="code_likeness",
        caption="How alike the latent codes of two tissues are. Each point is a pair of tissues, "
        "its mean over donors. Blue above grey: codes recognise a donor. Blue above orange: they "
        "do so by more than sex and how the donor died. The result for donors not seen in "
        "training is the one that counts.",
        data=pairs,
        index=False,
    )
    for line in codes_in_words(studies):
        st.markdown(f"- {line}")
    st.caption(
        "The paper finds the same direction, with p < 2.2e-16 over pairs of samples. Pairs are "
        "not independent, so p is computed here by donor."
    )


def show_decoding(session: Session, model: ServedModel, fitted: LatentModel) -> None:
    """Show which tissues the model decodes alike, and whether they are alike."""
    artefact, studies = model.predictor.artefact, model.studies
    colours = artefact.tissues["colour"].to_dict()
    abbreviations = artefact.tissues["abbreviation"].to_dict()
    layers = decoding_of(artefact.sha256, session.source, artefact, fitted)
    tissue_column, layer_column = st.columns([3, 2])
    with tissue_column:
        tissue = _choose_tissue(_tissues_of(model))
    with layer_column:
        layer = st.segmented_control(
            "Layer of the generator",
            list(layers),
            default=next(iter(layers)),
            required=True,
            key="latent_layer",
            persist_state="session",
            help="Layers between the code and a tissue's profile; the output is the predicted "
            "z-scores.",
        )
    likeness, positions = layers[layer]
    st.header("Tissues as the model decodes them")
    show_figure(
        tissue_map(positions.positions, positions.shares, colours, abbreviations, chosen=tissue),
        key="tissue_map",
        name=f"tissue_map_{layer}",
        caption=f"The code of the mean {session.source} profile, decoded to every tissue: "
        f"activations of {layer}, by their first two principal components. Tissues close "
        f"together are decoded alike; two components give only a rough picture of distances.",
        data=positions.positions,
    )
    st.header("Decoding and the similarity of tissues")
    show_figure(
        likeness_scatter(
            likeness.pairs, x=PROFILES, y=f"similarity of decoding, {layer} (rho)", chosen=tissue
        ),
        key="decoding_likeness",
        name=f"decoding_{layer}",
        caption=f"Each point is a pair of tissues: x, how alike their mean profiles are; y, how "
        f"alike the same code is decoded in {layer}. {agreement_in_words(likeness.agreement)}",
        data=likeness.pairs,
        index=False,
    )
    if studies.latent is not None or studies.latent_held_out is not None:
        st.subheader("Over the codes of many donors")
        rows = layer_table(studies)
        st.dataframe(
            rows,
            hide_index=True,
            key="layer_rows",
            column_config={
                "n_units": "units",
                "n_codes": "codes",
                "n_tissues": "tissues",
                "spearman": st.column_config.NumberColumn("Spearman", format="%.2f"),
                "p": st.column_config.NumberColumn("p (Mantel)", format="%.3f"),
            },
        )
        st.caption("The same, averaged over blood codes of many donors (`mtm study latent`).")
        download_table(rows, key="layer_table", name="decoding_layers", label="These rows")


def show_genes(model: ServedModel) -> None:
    """Show whether like tissues share predictable genes, and what sets these apart."""
    artefact, studies = model.predictor.artefact, model.studies
    found = predictability_of(model)
    if found is None:
        st.info(
            f"**{plain(artefact.name)}** is not evaluated, so which genes it predicts is not "
            f"known. Evaluate it with `mtm evaluate`, and train it with `--evaluation`.",
            icon=":material/info:",
        )
    else:
        likeness, method = found
        tissue = _choose_tissue(_tissues_of(model))
        show_figure(
            likeness_scatter(
                likeness.pairs,
                x=PROFILES,
                y="similarity of gene-wise rho (rho)",
                chosen=tissue,
            ),
            key="predictability_likeness",
            caption=f"Each point is a pair of tissues: x, how alike their mean profiles are; y, "
            f"how alike the held-out rho of {method} is over genes. A rising trend means that "
            f"similar tissues share predictable genes. {agreement_in_words(likeness.agreement)}",
            data=likeness.pairs,
            index=False,
        )
    shipped = studies.predictable_genes
    st.header("What sets predictable genes apart")
    if shipped is None:
        st.info(
            f"**{plain(artefact.name)}** does not have this study. Make it with"
            " `mtm study pgenes COHORT --evaluation EVALUATION --output MODEL/studies/pgenes`.",
            icon=":material/info:",
        )
        end_page()
    summary = shipped.study.summary().reset_index()
    st.dataframe(
        summary,
        hide_index=True,
        key="quartile_summary",
        column_config={
            "annotation": "of a gene",
            "n_tissues": "tissues",
            "significantly_higher": "higher, p < 0.05",
            "significantly_lower": "lower, p < 0.05",
            "median_auc": st.column_config.NumberColumn(
                "median AUC",
                format="%.2f",
                help="Probability that a gene of the best predicted quarter is above one of the "
                "worst quarter.",
            ),
            "median_genes": "genes of a quarter",
        },
    )
    st.caption(
        "Number of tissues in which the best predicted quarter of genes is higher than the worst "
        "quarter, in expression and in any annotation given. With few genes per quarter, single "
        f"tissues are unreliable. Method {plain(shipped.settings.get('method', '?'))}; Wilcoxon's "
        "rank-sum"
        " test."
    )
    download_table(shipped.study.quartiles, key="quartiles", name="quartiles", label="Every tissue")


def show_samples(session: Session, model: ServedModel, fitted: LatentModel) -> None:
    """Show the codes of the session's samples."""
    need_samples(session, model)
    need(session, session.preparing(model.predictor))
    try:
        mapped = sample_map_of(fitted, session.prepare(model.predictor))
    except SelectionError as error:
        st.error(plain_message(error), icon=":material/error:")
        end_page()
    columns = colour_columns(session.metadata)
    colour = st.selectbox(
        "Colour by",
        columns,
        index=0 if columns else None,
        key="latent_colour",
        persist_state="session",
        placeholder="no metadata: add it on the page Metadata",
        disabled=not columns,
        help="A column of your metadata: numbers, or a few groups.",
    )
    values = colour_values(session.metadata, colour, mapped.positions.index)
    show_figure(
        sample_map(mapped.positions, mapped.shares, title=colour or "", **values),
        key="sample_map",
        name=f"{session.file_stem}latent_codes",
        caption=f"The latent codes of your {len(mapped.positions):,} samples of {session.source},"
        " by their first two principal components. Groups that separate here differ in what the "
        "model uses, whether biology or batch. Computed in this session only.",
        data=mapped.positions.join([series.rename(str(colour)) for series in values.values()]),
    )


def _choose_tissue(tissues: Sequence[str]) -> str:
    """Let the user choose the tissue that other pages know too."""
    bring_along("tissue", tissues)
    tissue: str = st.selectbox(
        "Tissue", tissues, key="tissue", bind="query-params", help="Highlighted in the figures."
    )
    return tissue


def _tissues_of(model: ServedModel) -> list[str]:
    return sorted(str(name) for name in model.predictor.artefact.tissues.index)
