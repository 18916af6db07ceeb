"""The report of a prediction, and the record that report and bundle are made from."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr

from mtm_core.dashboard.screens.measured_report import Checked
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.downloads import RESEARCH_USE
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.views import (
    most_informative,
    reference_distance,
    z_of_tissue,
)
from mtm_core.data.cohort.normalise import explain_unit
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.predictability import genes_of_tissue
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.figures.accuracy.tissue_ranking import tissue_ranking
from mtm_core.figures.samples.distance import distance_strips
from mtm_core.figures.samples.heatmap import z_heatmap
from mtm_core.inference.together import explain_sources, sources_of
from mtm_core.reporting.bundle import PredictionRecord, bundle_bytes
from mtm_core.reporting.command_line import in_shell
from mtm_core.reporting.design_record import DesignRecord
from mtm_core.reporting.methods_text import accuracy_of_targets, adjusted_for, methods_text
from mtm_core.reporting.model_card import LIMITS
from mtm_core.reporting.report import Report, ReportFigure, Section, render_report

MOST_HEATMAPS = 12
MOST_GENES = 60
"""Genes that a heatmap draws."""
MOST_SAMPLES = 200
"""Samples that a heatmap draws."""
MOST_ROWS = 50
"""Genes that the table of predictable genes lists."""
MOST_MISSING = 100
_TISSUE_COLUMNS = {
    "n": ("donors", "{:.0f}"),
    "gene_rho_by_fold": ("rho, by fold", "{:.3f}"),
    "gene_adjusted_rho_by_fold": ("adjusted rho", "{:.3f}"),
    "gene_rho_pooled": ("rho, pooled", "{:.3f}"),
    "n_predictable": ("predictable genes", "{:.0f}"),
}
_GENE_COLUMNS = {
    "n": ("donors", "{:.0f}"),
    "rho_by_fold": ("rho, by fold", "{:.2f}"),
    "adjusted_rho_by_fold": ("adjusted rho", "{:.2f}"),
    "rho_pooled": ("rho, pooled", "{:.2f}"),
    "fdr": ("FDR", "{:.1e}"),
}


def record_of(session: Session, model: ServedModel) -> PredictionRecord:
    """Return the session's prediction and where it came from.

    Raises
    ------
    SelectionError
        If there is no prediction, or it is not of the samples and options as they are now.
    """
    predictor = model.predictor
    if session.table is None or session.prediction is None or not session.is_current(predictor):
        raise SelectionError("there is no prediction for these samples and options. Predict first.")
    with_age_sex = predictor.covariates and session.metadata is not None
    return PredictionRecord(
        session.prediction,
        session.table.report,
        session.prepare(predictor),
        session.metadata.phenotypes() if with_age_sex and session.metadata is not None else None,
        session.simulated,
        session.predicted_by,
        session.people(predictor),
        tuple((one.table.report.file, one.sha256) for one in session.used_further(predictor)),
    )


def methods_of(record: PredictionRecord, model: ServedModel) -> str:
    """Return the Methods paragraph."""
    return methods_text(
        record.prediction,
        ingest=record.ingest,
        prepared=record.prepared,
        artefact=model.predictor.artefact,
        evaluation=model.evaluation,
        simulated=record.simulated,
    )


def bundle_of(
    record: PredictionRecord,
    model: ServedModel,
    checked: Checked | None = None,
    design: DesignRecord | None = None,
) -> bytes:
    """Return the bundle, with held-out accuracy, and the check and linear model that were made."""
    accuracy = None
    known = _evaluation(record, model)
    if known is not None and not _ranking(record, model).empty:
        accuracy = known.genes_of(model.predictor.artefact.method.name, _tissues(record.prediction))
    return bundle_bytes(
        record,
        methods=methods_of(record, model),
        accuracy=accuracy,
        more={
            **({} if checked is None else checked.files()),
            **({} if design is None else design.files()),
        },
    )


def report_bytes(
    record: PredictionRecord,
    model: ServedModel,
    on_progress: Progress | None = None,
    *,
    checked: Checked | None = None,
) -> bytes:
    """Return the report as HTML; ``on_progress`` is called with each of its parts."""
    return render_report(report_of(record, model, on_progress, checked=checked)).encode()


def report_of(
    record: PredictionRecord,
    model: ServedModel,
    on_progress: Progress | None = None,
    *,
    checked: Checked | None = None,
) -> Report:
    """Say what was uploaded, what was found in it, how good the model is, and what came out."""
    ranking = _ranking(record, model)
    parts: tuple[Callable[[], Section], ...] = (
        lambda: _uploaded(record, model),
        lambda: _model(record, model, ranking),
        lambda: _tissue_section(record, model, ranking),
        lambda: _values(record, model, ranking),
        lambda: _genes(record, model, ranking),
        *(() if checked is None else (checked.section,)),
    )
    sections = []
    for i, part in enumerate(parts):
        if on_progress is not None:
            on_progress(i, len(parts) + 1)  # the last is to write it all as HTML
        sections.append(part())
    if on_progress is not None:
        on_progress(len(parts), len(parts) + 1)
    lead = [RESEARCH_USE]
    if record.simulated:
        lead.append("Simulated samples, not real people.")
    return Report(
        f"Predicted expression: {record.ingest.file}",
        tuple(lead),
        (
            *sections,
            Section("Methods", verbatim=methods_of(record, model)),
            Section(
                "Repeat it",
                (
                    "The bundle from the dashboard contains the values, and this command as a "
                    "script.",
                ),
                verbatim=in_shell(record.command),
            ),
        ),
    )


def _uploaded(record: PredictionRecord, model: ServedModel) -> Section:
    ingest, prepared = record.ingest, record.prepared
    missing = [
        str(symbol) or str(gene) for gene, symbol in prepared.match.missing["symbol"].items()
    ]
    facts = {
        "File": ingest.file,
        "SHA-256": ingest.sha256,
        "Samples": f"{ingest.n_samples:,} of {prepared.source}",
        **_further_facts(record),
        "Genes in the table": f"{ingest.n_genes:,}, {ingest.id_type} ids, {ingest.orientation}",
        "Unit": f"read as {prepared.unit}; by its values {ingest.unit or 'not clear'}",
        "Alignment": prepared.aligned.how,
        "Genes of the model found": f"{int(prepared.match.found.sum()):,} of"
        f" {len(prepared.match.found):,}",
    }
    if missing:
        facts["Genes missing"] = ", ".join(missing[:MOST_MISSING]) + (
            f" and {len(missing) - MOST_MISSING:,} more" if len(missing) > MOST_MISSING else ""
        )
    distance = prepared.aligned.distance
    return Section(
        "What was uploaded, and what was found in it",
        facts=facts,
        notes=record.findings,
        figures=(
            ReportFigure(
                "Distance from the reference",
                distance_strips(
                    distance, reference_distance(model.predictor.artefact, prepared.source)
                ),
                f"Each mark is a sample. It shows the distance from the {prepared.source} of the "
                f"GTEx donors, before and after alignment. The band holds 90 % of those donors.",
            ),
        ),
    )


def _further_facts(record: PredictionRecord) -> dict[str, str]:
    """Say, of each further tissue, how many samples there are, and in which unit."""
    return {
        f"Further tissue {number}": f"{table.source}: {len(table.samples):,} samples, read as"
        f" {table.unit}; {file}"
        for number, (table, file) in enumerate(
            zip(record.further_tables, record.further_files, strict=True), start=1
        )
    }


def _model(record: PredictionRecord, model: ServedModel, ranking: pd.DataFrame) -> Section:
    artefact, attrs = model.predictor.artefact, record.prediction.attrs
    facts = {
        "Model": f"{attrs['model']}, method {attrs['method']}, MTM {attrs['mtm_version']}",
        "SHA-256": attrs["model_sha256"],
        "Predicts": f"{len(artefact.genes):,} genes in {len(artefact.tissues)} tissues, in"
        f" {explain_unit(artefact.unit, len(artefact.genes))}",
        "Intervals": attrs["interval"],
    }
    if ranking.empty:
        facts["Accuracy"] = f"Not evaluated from {explain_sources(sources_of(record.prediction))}."
    else:
        facts["Held-out rho, mean over the tissues predicted here"] = (
            f"{ranking['gene_rho_by_fold'].mean():.3f} by fold"
        )
        if "gene_adjusted_rho_by_fold" in ranking and model.evaluation is not None:
            facts[f"Adjusted rho ({adjusted_for(model.evaluation.settings)})"] = (
                f"{ranking['gene_adjusted_rho_by_fold'].mean():.3f}"
            )
    return Section("The model, and how good it is", (LIMITS,), facts)


def _tissue_section(record: PredictionRecord, model: ServedModel, ranking: pd.DataFrame) -> Section:
    tissues = _tissues(record.prediction)
    if ranking.empty or model.evaluation is None:
        return Section(
            "Predicted tissues",
            ("How well this model predicts these tissues is not known.", ", ".join(tissues)),
        )
    table = _shown(ranking, _TISSUE_COLUMNS)
    table.insert(0, "tissue", table.index)
    rest = [tissue for tissue in tissues if tissue not in ranking.index]
    return Section(
        "Predicted tissues",
        (f"Not evaluated: {', '.join(rest)}.",) if rest else (),
        table=table,
        table_caption="Accuracy on held-out GTEx donors, mean over genes. A gene is predictable"
        f" where its pooled rho is above {PREDICTABLE_RHO:g}.",
        figures=(
            ReportFigure(
                "Accuracy of each tissue",
                tissue_ranking(
                    ranking,
                    model.predictor.artefact.tissues["colour"].to_dict(),
                    n_genes=model.evaluation.n_genes,
                ),
                "Mean gene-wise rho on held-out donors, raw and, where available, adjusted. The "
                "numbers of predictable genes and of donors are at the right.",
            ),
        ),
    )


def _values(record: PredictionRecord, model: ServedModel, ranking: pd.DataFrame) -> Section:
    prediction = record.prediction
    held_out = GeneAccuracy.of(model, sources_of(prediction))
    labels = model.genes
    tissues = _tissues(prediction)
    in_order = [*ranking.index, *(tissue for tissue in tissues if tissue not in ranking.index)]
    figures = []
    for tissue in in_order[:MOST_HEATMAPS]:
        accuracy = held_out.of_pairs([tissue] * len(labels), list(labels.values()))
        accuracy.index = pd.Index(list(labels))
        rho = accuracy["rho_by_fold"] if held_out.exists else None
        z = most_informative(z_of_tissue(prediction, tissue, labels), rho)
        shown = z.iloc[:MOST_SAMPLES, :MOST_GENES]
        caption = (
            f"Predicted z-scores, {tissue}: {len(shown):,} of {len(z):,} samples in rows,"
            f" {shown.shape[1]:,} of {len(labels):,} genes in columns. 0 is the mean of the GTEx "
            f"donors; red is above it, blue below."
        )
        if held_out.exists:
            caption += (
                f" Bars show the held-out rho, by fold. Genes are ordered by it, and greyed out "
                f"where the pooled rho is {PREDICTABLE_RHO:g} or less."
            )
        grey = list(accuracy.index[accuracy["predictable"] == "no"])
        figures.append(
            ReportFigure(tissue, z_heatmap(shown, rho, column="gene", unpredictable=grey), caption)
        )
    text = [
        f"{prediction.sizes['sample']:,} samples, {len(tissues)} tissues, {len(labels):,} genes."
        " Predictions shrink towards the mean of the donors."
    ]
    if len(tissues) > MOST_HEATMAPS:
        first = "that are predicted best" if held_out.exists else "that were chosen first"
        text.append(f"Shown: the {MOST_HEATMAPS} tissues {first}.")
    return Section("Predicted values", tuple(text), figures=tuple(figures))


def _genes(record: PredictionRecord, model: ServedModel, ranking: pd.DataFrame) -> Section:
    known = _evaluation(record, model)
    heading = "Best predicted genes"
    if ranking.empty or known is None:
        return Section(heading, ("Not known: the model was not evaluated from this source.",))
    artefact = model.predictor.artefact
    parts = [
        genes_of_tissue(
            known.genes_of(artefact.method.name, tissue), artefact.method.name, tissue
        ).assign(tissue=tissue)
        for tissue in ranking.index
    ]
    genes = pd.concat(parts)
    predictable = genes[genes["is_predictable"]].sort_values(
        "rho_by_fold", ascending=False, kind="stable"
    )
    top = predictable.iloc[:MOST_ROWS]
    table = _shown(top, _GENE_COLUMNS)
    symbols = artefact.genes["symbol"].reindex(top.index).fillna("")
    table.insert(0, "tissue", top["tissue"])
    table.insert(0, "gene id", top.index)
    table.insert(0, "gene", symbols)
    return Section(
        heading,
        (
            f"{len(predictable):,} of {len(genes):,} pairs of gene and predicted tissue are"
            f" predictable (pooled rho above {PREDICTABLE_RHO:g}).",
        ),
        table=table,
        table_caption=f"The {len(top):,} with the highest rho, by fold, on held-out GTEx donors.",
    )


def _shown(table: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return the ``columns`` that there are, named and written as they are to be read."""
    return pd.DataFrame(
        {
            name: table[column].map(lambda x, f=form: "" if pd.isna(x) else f.format(x))
            for column, (name, form) in columns.items()
            if column in table
        },
        index=table.index,
    )


def _evaluation(record: PredictionRecord, model: ServedModel) -> EvaluationTables | None:
    """Return the evaluation from the tissues that ``record`` was predicted from."""
    if model.evaluation is None:
        return None
    return model.evaluation.from_sources(
        sources_of(record.prediction), model.predictor.artefact.method.name
    )


def _ranking(record: PredictionRecord, model: ServedModel) -> pd.DataFrame:
    return accuracy_of_targets(
        model.evaluation,
        model.predictor.artefact.method.name,
        sources_of(record.prediction),
        _tissues(record.prediction),
    )


def _tissues(prediction: xr.Dataset) -> list[str]:
    return [str(tissue) for tissue in prediction["tissue"].values]
