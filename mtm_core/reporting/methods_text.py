"""A Methods paragraph for a paper, from the prediction, its model and the model's evaluation.

Every number comes from what it is given; where something is not known, the text says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.normalise import explain_unit
from mtm_core.data.notes import counted
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.confounding import CONFOUNDERS
from mtm_core.evaluation.predictability import rank_tissues
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import BETWEEN, explain_sources, sources_of, tissues_given

REFERENCES = (
    "He G, Chen M, Bian Y, Yang E. MTM: a multi-task learning framework to predict individualized"
    " tissue gene expression profiles. Bioinformatics 2023;39(6):btad363."
    " doi:10.1093/bioinformatics/btad363",
    "The GTEx Consortium. The GTEx Consortium atlas of genetic regulatory effects across human"
    " tissues. Science 2020;369(6509):1318-1330. doi:10.1126/science.aaz1776",
)
_CONFOUNDER_NAMES = {"age": "age", "sex": "sex", "hardy": "Hardy scale"}
_MOST_NAMED = 10


def accuracy_of_targets(
    evaluation: EvaluationTables | None,
    method: str,
    source: str | Sequence[str],
    targets: Sequence[str],
) -> pd.DataFrame:
    """Return the accuracy of ``method`` from ``source`` in each of ``targets``, the best first.

    Returns
    -------
    pandas.DataFrame
        As :func:`mtm_core.evaluation.predictability.rank_tissues`; empty if the method was not
        evaluated from ``source``, one tissue or several together.
    """
    known = None if evaluation is None else evaluation.from_sources(source, method)
    if known is None:
        return pd.DataFrame()
    ranked = rank_tissues(known.tissues, method)
    return ranked[ranked.index.isin(targets)]


def adjusted_for(settings: dict[str, Any]) -> str:
    """Say what the adjusted figures of an evaluation have regressed out."""
    return _listed(
        [_CONFOUNDER_NAMES.get(name, name) for name in settings.get("adjusted_for") or CONFOUNDERS]
    )


def methods_text(
    prediction: xr.Dataset,
    *,
    ingest: IngestReport,
    prepared: Prepared,
    artefact: Artefact,
    evaluation: EvaluationTables | None,
    simulated: bool = False,
) -> str:
    """Return the text, paragraphs separated by a blank line.

    Parameters
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
    ingest, prepared
        How the table was read, and how it was brought to the model's genes and scale.
    artefact, evaluation
        The model, and how it did on held-out donors; ``None`` if it was not evaluated.
    simulated
        Whether the samples are simulated, not of real people.
    """
    paragraphs = [
        _prediction(prediction, artefact),
        _samples(prediction, ingest, prepared, artefact),
        _accuracy(prediction, artefact, evaluation),
        "For research use, not for diagnosis.",
        "\n".join(["References", *(f"{i}. {text}" for i, text in enumerate(REFERENCES, start=1))]),
    ]
    if simulated:
        paragraphs.insert(0, "THE SAMPLES ARE SIMULATED: not real people.")
    return "\n\n".join(paragraphs) + "\n"


def _prediction(prediction: xr.Dataset, artefact: Artefact) -> str:
    attrs = prediction.attrs
    tissues = [str(tissue) for tissue in prediction["tissue"].values]
    samples, donors = (
        f"{artefact.provenance[f'n_{what}']:,} {what}"
        if f"n_{what}" in artefact.provenance
        else f"an unknown number of {what}"
        for what in ("samples", "donors")
    )
    interval = (
        f", each value with its interval ({attrs['interval']})" if "lower" in prediction else ""
    )
    return (
        f"Gene expression in {_some(tissues, 'tissues')} was predicted from"
        f" {explain_sources(sources_of(prediction))} with"
        f" MTM {attrs['mtm_version']}, an independent implementation of multi-tissue transcriptome"
        f" mapping [1] (model {attrs['model']}, method {_method(artefact)}, SHA-256"
        f" {attrs['model_sha256']}). The model was trained on"
        f" {samples} of {donors} of GTEx [2] in {len(artefact.tissues)} tissues and predicts"
        f" {len(artefact.genes):,} genes. Predictions are z-scores against the GTEx donors of each"
        f" tissue, and expression in {explain_unit(attrs['unit'], len(artefact.genes))}{interval}."
    )


def _method(artefact: Artefact) -> str:
    """Name the method, and what it is made of where it is made of others."""
    bases = [str(base["method"]) for base in artefact.method.settings().get("bases", [])]
    return artefact.method.name + (f" of {_listed(bases)}" if bases else "")


def _samples(
    prediction: xr.Dataset, ingest: IngestReport, prepared: Prepared, artefact: Artefact
) -> str:
    found, missing = int(prepared.match.found.sum()), len(prepared.match.missing)
    distance = prepared.aligned.distance
    sentences = [
        f"The table had {counted(ingest.n_samples, 'sample', 'samples')} and"
        f" {counted(ingest.n_genes, 'gene', 'genes')}"
        f" ({ingest.id_type} ids), read as {prepared.unit}.",
        f"It held {found:,} of the model's {len(artefact.genes):,} genes"
        + (
            f"; the {missing:,} others were set to the mean of the reference donors."
            if missing
            else "."
        ),
    ]
    if prepared.aligned.how != "none":
        sentences.append(
            _alignment(prepared) + f" donors' {prepared.source}: predictions are relative to"
            f" {'the earlier' if prepared.from_saved else 'the other'} samples. Where"
            f" groups or traits are compared, measured {prepared.source} is used as measured, "
            f"without this alignment."
        )
    else:
        sentences.append("The samples were not aligned to the reference.")
    sentences.append(
        "The median distance of the samples from the reference (root mean square of z-scores) was"
        f" {distance['distance_before'].median():.2f}"
        + (
            f", after alignment {distance['distance_after'].median():.2f}."
            if prepared.aligned.how != "none"
            else "."
        )
    )
    sentences += _further(prediction)
    read = prediction.attrs["covariates"]
    n_used = int(prediction["used_age_sex"].sum())
    sentences.append(
        f"The model reads {read.replace(', ', ' and ')} where known, here for {n_used:,} of"
        f" {prediction.sizes['sample']:,} samples."
        if read
        else "The model uses expression alone, without age and sex."
    )
    return " ".join(sentences)


def _alignment(prepared: Prepared) -> str:
    """Say what was set to the reference's, and over which samples."""
    alignment = prepared.alignment
    what = {
        "cohort": "mean and standard deviation",
        "robust": "median and interquartile range",
        "quantiles": "quantiles",
    }[alignment.how]
    where = "over the samples"
    if prepared.from_saved:
        where = f"over {alignment.n_samples:,} earlier samples"
    if alignment.batches:
        where += f" of each of {len(alignment.batches)} batches"
    small = [one.batch for one in alignment.parameters if one.basis != "own"]
    with_others = (
        f" ({len(small)} batches of fewer than {ENOUGH_SAMPLES} samples used the spread of the "
        f"others)"
        if small
        else ""
    )
    return f"Each gene's {what} {where}{with_others} were set to those of the GTEx"


def _further(prediction: xr.Dataset) -> list[str]:
    """Say how many people gave which of several tissues."""
    sources = sources_of(prediction)
    if len(sources) == 1:
        return []
    units = prediction.attrs["further_units"].split(BETWEEN)
    tables = " and ".join(
        f"{source} (read as {unit})" for source, unit in zip(sources[1:], units, strict=True)
    )
    counts = Counter(tissues_given(prediction))
    by_tissues = "; ".join(
        f"{n:,} from {explain_sources(given.split(BETWEEN))}" for given, n in counts.items()
    )
    return [
        f"Tables of {tables} of the same people, each aligned to the reference of its own "
        f"tissue, were used with it, matched by sample name: {by_tissues}."
    ]


def _accuracy(
    prediction: xr.Dataset, artefact: Artefact, evaluation: EvaluationTables | None
) -> str:
    sources = sources_of(prediction)
    tissues = [str(tissue) for tissue in prediction["tissue"].values]
    ranked = accuracy_of_targets(evaluation, artefact.method.name, sources, tissues)
    if evaluation is None or ranked.empty:
        return (
            f"The accuracy of this model's predictions from {explain_sources(sources)}"
            f"{' together' if len(sources) > 1 else ''} in these tissues was not evaluated."
        )
    settings = evaluation.settings
    raw = ranked["gene_rho_by_fold"]
    n_genes = evaluation.n_genes
    folds = f"{settings['folds']}-fold cross-validation" if "folds" in settings else "Evaluation"
    sentences = [
        f"In {folds} by donor in GTEx, Pearson's correlation of predicted and measured expression"
        f" across donors, by gene and within folds, had a mean of {raw.mean():.3f} over genes and"
        f" the {len(ranked)} predicted tissues that were evaluated"
        f" (by tissue {raw.min():.3f} to {raw.max():.3f})",
    ]
    adjusted = ranked.get("gene_adjusted_rho_by_fold", pd.Series(dtype=float)).dropna()
    sentences[0] += (
        f", and of {adjusted.mean():.3f} ({adjusted.min():.3f} to {adjusted.max():.3f}) adjusted"
        f" for {adjusted_for(settings)}."
        if len(adjusted)
        else "; figures adjusted for age, sex and Hardy scale were not computed."
    )
    sentences.append(
        f"Of {n_genes:,} genes, {ranked['n_predictable'].mean():,.1f} a tissue on average had a"
        f" pooled correlation above {PREDICTABLE_RHO:g}."
    )
    if len(sources) > 1:
        sentences.append("These figures are of donors with all of these tissues.")
    if len(ranked) < len(tissues):
        sentences.append(
            f"{len(tissues) - len(ranked)} of the predicted tissues were not evaluated."
        )
    sentences.append(
        "GTEx donors were dead when sampled; the accuracy in living people and with other "
        "protocols was not measured."
    )
    return " ".join(sentences)


def _some(names: Sequence[str], what: str) -> str:
    if len(names) > _MOST_NAMED:
        return f"{len(names)} {what}"
    return _listed(names)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
