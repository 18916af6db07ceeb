"""The session's samples as reviewed, and the parts of the Quality screen."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.results import OF_TABLE
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.sample_names import with_sample_column
from mtm_core.escaping import plain
from mtm_core.figures.samples.components import component_heatmap, component_scatter
from mtm_core.figures.samples.sample_checks import sex_scatter, tissue_strips
from mtm_core.workflows.comparisons import groups_of, trait_numbers, traits_of
from mtm_core.workflows.quality import (
    FEWEST_SAMPLES,
    SampleReview,
    ellipse,
    review_samples,
    sex_disagreements,
)
from mtm_core.workflows.server_limits import preparing_bytes

FDR = 0.05
_COLUMNS: dict[str, ColumnConfig | str | None] = {
    "library_size": st.column_config.NumberColumn("library size", format="localized"),
    "genes_detected": st.column_config.NumberColumn("genes detected", format="localized"),
    "haemoglobin": st.column_config.NumberColumn("haemoglobin", format="percent"),
    "ribosomal": st.column_config.NumberColumn("ribosomal", format="percent"),
    "mitochondrial": st.column_config.NumberColumn("mitochondrial", format="percent"),
    "median_correlation": st.column_config.NumberColumn("correlation with others", format="%.3f"),
    "robust_distance": st.column_config.NumberColumn("robust distance", format="%.1f"),
    "distance_p": p_column("its p"),
    "distance": st.column_config.NumberColumn("SD from the reference", format="%.2f"),
    "beyond_reference": "beyond 99 % of donors",
    "nearest_tissue": "nearest tissue",
    "nearest_rho": st.column_config.NumberColumn("its rho", format="%.2f"),
    "source_rho": st.column_config.NumberColumn("rho with the stated tissue", format="%.2f"),
    "source_rank": st.column_config.NumberColumn("its rank", format="%d"),
    "xist": st.column_config.NumberColumn("XIST", format="%.1f"),
    "y": st.column_config.NumberColumn("Y genes", format="%.1f"),
    "sex_by_genes": "sex by genes",
    "sex_stated": "sex in the metadata",
    "is_outlier": "flagged",
}


def reviewed(session: Session, model: ServedModel) -> SampleReview:
    """Review the session's samples in the background, once for its options."""
    table = session.table
    assert table is not None
    metadata, source = session.own_metadata, session.source
    unit = session.unit or "auto"
    state = None if metadata is None else metadata.state
    batches = _batches(session)
    n_samples, n_columns = table.values.shape
    return remember(
        session,
        (OF_TABLE, "review", source, unit, state, batches),
        lambda _: review_samples(
            table, model.predictor, source=source, unit=unit, metadata=metadata, batches=batches
        ),
        slot="review",
        words="Looking at the samples",
        memory=preparing_bytes(n_samples, n_columns, len(model.predictor.artefact.genes)),
    )


def _batches(session: Session) -> tuple[str, ...] | None:
    """Return the batch of each sample; ``None`` if none are chosen, or one is not known."""
    column = session.batching.column_in(session.metadata)
    if session.table is None or session.metadata is None or not column:
        return None
    named = session.metadata.text(column).reindex(session.table.values.index.astype(str))
    return None if named.isna().any() else tuple(str(name) for name in named)


def show_outliers(session: Session, review: SampleReview) -> None:
    """List the samples with a reason to look at them."""
    outliers = review.outliers[["reasons"]].rename_axis("sample").reset_index()
    if outliers.empty:
        st.success("No sample is flagged.", icon=":material/check:")
        return
    st.dataframe(outliers, hide_index=True, key="outliers")
    download_table(
        outliers, key="outlier_rows", name=f"{session.file_stem}to_look_at", label="These samples"
    )


def show_components(session: Session, review: SampleReview, *, source: str) -> None:
    """Draw the samples along their components, and what goes with these."""
    components, metadata = review.components, session.own_metadata
    if components is None:
        st.info(
            f"{len(review.samples)} samples are fewer than the {FEWEST_SAMPLES} that components"
            " need.",
            icon=":material/info:",
        )
        return
    names = [str(name) for name in components.scores]
    x_column, y_column, colour_column = st.columns(3)
    with x_column:
        x = st.selectbox(
            "Across",
            names,
            key="component_x",
            persist_state="session",
            help="Principal component on the horizontal axis.",
        )
    with y_column:
        y = st.selectbox(
            "Up",
            names,
            index=min(1, len(names) - 1),
            key="component_y",
            persist_state="session",
            help="Principal component on the vertical axis.",
        )
    with colour_column:
        columns = [] if metadata is None else _colours(metadata)
        by = st.selectbox(
            "Colour by",
            columns,
            index=None,
            placeholder="none" if metadata is not None else "needs metadata",
            disabled=metadata is None,
            key="component_colour",
            persist_state="session",
            help="A metadata column of groups or numbers.",
        )
    behind = st.toggle(
        "Reference in the background",
        value=True,
        key="component_reference",
        persist_state="session",
        help="The reference's mean and outlines that hold 50 % and 90 % of its donors.",
    )
    values = None if metadata is None or by is None else _values(metadata, by)
    drawn = components.scores.copy()
    if values is not None:
        drawn[str(by)] = values.reindex(drawn.index)
    first, second = names.index(x), names.index(y)
    show_figure(
        component_scatter(
            components,
            first,
            second,
            values=values,
            marked=[str(name) for name in review.outliers.index],
            reference=behind,
        ),
        key="components",
        name=f"{session.file_stem}components",
        caption=f"Each mark is a sample, by the {len(components.loadings):,} most variable genes "
        f"of the model in your samples, before alignment. Flagged samples are circled."
        + _reference_in_words(review, source),
        data=with_sample_column(drawn),
        index=False,
    )
    if behind and components.covariance is not None:
        line = ellipse(components, first, second, 0.9)
        download_table(
            line, key="outline", name=f"{session.file_stem}reference_outline", label="Outline, 90 %"
        )
    if review.tests.empty:
        st.info("With metadata, components are tested against each column.", icon=":material/info:")
        return
    tests = review.tests
    found = int((tests["fdr"] <= FDR).sum())
    show_figure(
        component_heatmap(tests, FDR),
        key="component_tests",
        name=f"{session.file_stem}component_tests",
        caption=f"Share of each component's variance explained by each metadata column: for "
        f"numbers, Spearman's rho squared; for groups, the variance between groups, tested by "
        f"Kruskal and Wallis. A star means an FDR of at most {FDR:.0%} over all {len(tests)} "
        f"tests; {found}"
        " have one.",
        data=tests,
        index=False,
    )


def show_sex(session: Session, review: SampleReview) -> None:
    """Draw the genes that tell the sexes apart, where the table has any."""
    samples = review.samples
    if "sex_by_genes" not in samples:
        st.info(
            "Sex cannot be determined: neither XIST nor genes of the Y chromosome are in the "
            "table.",
            icon=":material/info:",
        )
        return
    wrong = pd.Series(False, samples.index)
    if "sex_stated" in samples:
        wrong = sex_disagreements(samples["sex_by_genes"], samples["sex_stated"])
        stated = f"{int(wrong.sum())} of {int(samples['sex_stated'].notna().sum())} samples with a"
        stated += " sex in the metadata express the genes of the other sex."
    else:
        stated = "The metadata has no sex to compare with."
    columns = ["xist", "y", "sex_by_genes", *(["sex_stated"] if "sex_stated" in samples else [])]
    show_figure(
        sex_scatter(samples, wrong),
        key="sex",
        name=f"{session.file_stem}sex_by_genes",
        caption="Women express XIST, men the genes of the Y chromosome. A sample with both may "
        "be a mixture of two people, or come from a man with more than one X chromosome. " + stated,
        data=samples[columns].rename_axis("sample").reset_index(),
        index=False,
    )


def show_tissue(session: Session, review: SampleReview) -> None:
    """Draw which tissues the samples are most like."""
    own = int((review.samples["nearest_tissue"] == review.source).sum())
    show_figure(
        tissue_strips(review.likeness, review.source),
        key="tissue_likeness",
        name=f"{session.file_stem}tissue_likeness",
        caption=f"{own} of {len(review.samples)} samples are most like {review.source}. Each "
        f"mark is the rho of a sample with the mean profile of a tissue, over the model's genes.",
        data=review.likeness.rename_axis("sample").reset_index(),
        index=False,
    )


def show_every_sample(session: Session, review: SampleReview) -> None:
    """Show all that is known of each sample."""
    table = review.samples.rename_axis("sample").reset_index()
    st.dataframe(table, hide_index=True, height=320, key="samples", column_config=_COLUMNS)
    download_table(table, key="sample_rows", name=f"{session.file_stem}quality", label="These rows")


def _reference_in_words(review: SampleReview, source: str) -> str:
    assert review.components is not None
    if review.components.covariance is None:
        return f" The cross is the mean of the GTEx donors' {plain(source)}."
    return (
        f" In the background are the GTEx donors' {plain(source)}: their mean, and outlines of "
        f"90 % and half of them, from the statistics of the model, which contains no donors. In "
        f"real donors the 90 % outline held 83 to 95 %. Samples from another protocol all lie "
        f"beside it in the same direction."
    )


def _colours(metadata: SampleMetadata) -> list[str]:
    numbers = traits_of(metadata)
    return list(dict.fromkeys([*groups_of(metadata), *numbers]))


def _values(metadata: SampleMetadata, name: str) -> pd.Series:
    if name in groups_of(metadata) and metadata.column(name).kind != "number":
        return metadata.groups(name)
    return trait_numbers(metadata, name)[0].rename(name)
