"""Predictions of a tissue against the same tissue, measured in some of the same people.

Two scales: gene-wise rho and sample-wise rho are of z-scores, as out-of-fold accuracy is; errors
are in log2 units. Intervals and errors need both on one scale: the measured table is brought to the
reference of its tissue as a table to predict from is, aligned where it has enough samples. That
takes away a difference that all its samples share, and changes no gene-wise rho.

Chance is what comes out when people are exchanged: measured profiles go to other people, whole, so
that genes stay as correlated as they are.

Letters: N people, G genes, S shuffles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.people.same_people import TableMatch, match_people
from mtm_core.errors import SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import sources_of
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.protocol import tissue_index
from mtm_core.statistics.resampling import percentile_interval, shuffled_p
from mtm_core.studies.measured_pairs import (
    FDR,
    FEWEST,
    RHO_BINS,
    Errors,
    Pair,
    Progress,
    Shuffles,
    average_people,
    compare_expression,
    rank_agreement,
    resample,
    shuffle,
    standard_ranks,
)

Array = NDArray[np.float64]
FEW = 20
"""People below which a rho says little."""
N_SHUFFLES = 500
_SUMMARY = {
    "gene_rho": "gene-wise rho, mean over genes",
    "gene_spearman": "gene-wise Spearman's rho, mean over genes",
    "n_genes_that_hold": f"genes with rho above 0 at an FDR of {FDR:.0%}",
    "agreement": "Spearman's rho, over genes, of rho here and rho out of fold in GTEx",
    "sample_rho": "sample-wise rho, mean over people",
    "own_is_nearest": "share of people whose own measured profile is the nearest to the "
    "predicted one",
    "inside_90": "share of measured values inside the 90 % interval",
    "error": "error in log2 units (root mean square), median over genes",
    "error_of_mean": "the same if everyone is predicted as the mean of the GTEx donors",
}


@dataclass(frozen=True)
class MeasuredCheck:
    """Result of the check.

    Attributes
    ----------
    tissue
        Tissue that was predicted and measured.
    genes
        By gene id: ``symbol``, ``n``, ``rho`` (Pearson's) with its 95 % interval ``rho_low`` and
        ``rho_high``, ``spearman``, one-sided ``p`` of rho above 0, its ``fdr``, whether the gene
        ``holds``; ``out_of_fold_rho`` in GTEx; ``inside_90``, the share of people inside the
        interval; ``error`` and ``error_of_mean``, in log2 units.
    people
        By sample, or person where some have several: ``rho`` over genes with the own measured
        profile, ``rho_others`` its mean with those of the others, ``rank`` of the own among all
        (1: the nearest), ``inside_90``, ``error``, and ``n_samples`` of the person.
    summary
        By figure: ``meaning``, ``value``, ``low`` and ``high`` (95 % over resampled people),
        ``out_of_fold`` (what the model promises), ``chance_low``, ``chance_high`` (95 % of
        shuffles) and ``p`` (share of shuffles as high); NaN where there is none.
    rho_counts
        Genes by rho: ``low``, ``high``, ``genes``, and ``shuffled``, the mean of shuffles.
    match
        Predicted people against measured ones.
    notes
        Notes on the result.
    """

    tissue: str
    genes: pd.DataFrame
    people: pd.DataFrame
    summary: pd.DataFrame
    rho_counts: pd.DataFrame
    match: TableMatch
    notes: tuple[Note, ...] = field(default=())


def check_against_measured(
    prediction: xr.Dataset,
    measured: Prepared,
    artefact: Artefact,
    evaluation: EvaluationTables | None = None,
    *,
    near_people: bool = False,
    person: pd.Series | None = None,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> MeasuredCheck:
    """Compare the predicted tissue with ``measured`` samples of it, of some of the same people.

    Parameters
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`, with the tissue.
    measured
        Result of :meth:`mtm_core.inference.predictor.Predictor.prepare`, with the tissue as its
        source.
    artefact, evaluation
        The model, and how it did on held-out donors.
    near_people
        Match similar names as those of the same person.
    person
        Person of each predicted sample. Z-scores of the samples of one person are averaged, and
        people are shuffled and drawn whole. ``None`` if each sample is of another person.
    n_shuffles, seed
        Number and seed of the shuffles of people.

    Raises
    ------
    SelectionError
        If the tissue is not predicted, is one that was predicted from, there are no people or
        genes in common, or the person of a sample is not known.
    """
    tissue = measured.source
    predicted_tissues = [str(name) for name in prediction["tissue"].to_numpy()]
    if tissue in sources_of(prediction):
        raise SelectionError(
            f"{tissue} is the source of the prediction. Give another measured tissue."
        )
    if tissue not in predicted_tissues:
        raise SelectionError.unknown("predicted tissue", [tissue], predicted_tissues)
    names = [str(name) for name in prediction["sample"].to_numpy()]
    match = match_people(names, measured.samples, take_near=near_people)
    if not match.in_both:
        raise SelectionError(_describe_nobody(match, names, measured))
    row_of = {match.names.get(name, name): i for i, name in enumerate(measured.samples)}
    own = [i for i, name in enumerate(names) if name in set(match.in_both)]
    people = [names[i] for i in own]
    rows = [row_of[name] for name in people]
    genes = np.flatnonzero(measured.aligned.found)
    part = prediction.sel(tissue=tissue).isel(sample=own, gene=genes)
    pair = Pair(
        part["z"].to_numpy(),
        np.asarray(measured.aligned.z[np.array(rows)][:, genes]),
    )
    ids = part["gene"].to_numpy().astype(str)
    scaler, t = artefact.method.scaler, tissue_index(artefact.method.tissues, tissue)
    errors = compare_expression(part, pair.measured, scaler.of_genes(t, genes).inverse, len(people))
    n_samples, index = len(people), pd.Index(people, name="sample")
    if person is not None:
        codes, index = _people(person, people)
        pair, errors = average_people(pair, errors, codes)
    table = pd.DataFrame(
        {"symbol": part["symbol"].to_numpy().astype(str), "n": pair.n},
        index=pd.Index(ids, name="gene_id"),
    )
    promised = _out_of_fold(evaluation, artefact, part, tissue).reindex(ids)
    table = table.join(pair.by_gene().set_axis(table.index))
    table["out_of_fold_rho"] = promised["rho_by_fold"].to_numpy(dtype=np.float64)
    table = table.join(errors.genes.set_axis(table.index))
    by_person = pair.by_person().join(errors.people).set_axis(index)
    shuffles = shuffle(pair, table["out_of_fold_rho"].to_numpy(), n_shuffles, seed, on_progress)
    summary = _summarise(pair, table, by_person, shuffles, errors, seed)
    return MeasuredCheck(
        tissue,
        table,
        by_person,
        summary,
        _count_rho(table["rho"], shuffles),
        match,
        tuple(_describe(match, measured, (n_samples, pair.n), len(genes), promised, part)),
    )


def _people(person: pd.Series, samples: list[str]) -> tuple[NDArray[np.intp], pd.Index]:
    """Return the number of the person of each of ``samples``, and their names in that order."""
    names = person.reindex(samples)
    unknown = [str(name) for name in names.index[names.isna()]]
    if unknown:
        raise SelectionError(
            f"{person.name!r} names no person of {counted(len(unknown), 'sample', 'samples')}:"
            f" {name_some(unknown)}. Fill in the column, or leave the samples out."
        )
    codes, found = pd.factorize(names.astype(str))
    return codes, pd.Index(found, name="person")


def _summarise(
    pair: Pair,
    genes: pd.DataFrame,
    people: pd.DataFrame,
    shuffles: Shuffles,
    errors: Errors,
    seed: int,
) -> pd.DataFrame:
    """Return what came out, what was promised and what chance gives, a row a figure."""
    promised = genes["out_of_fold_rho"].to_numpy()
    rho = genes["rho"].to_numpy()
    known = np.isfinite(promised) & np.isfinite(rho)
    total = errors.n_counted.sum()
    values = {
        "gene_rho": _mean(rho),
        "gene_spearman": _mean(genes["spearman"].to_numpy()),
        "n_genes_that_hold": float(genes["holds"].sum()) if pair.n >= FEWEST else np.nan,
        "agreement": rank_agreement(standard_ranks(promised[known]), rho[known]),
        "sample_rho": float(people["rho"].mean()),
        "own_is_nearest": float((people["rank"] == 1).mean()) if pair.n > 1 else np.nan,
        "inside_90": float(errors.inside.sum() / total) if total else np.nan,
        "error": float(genes["error"].median()),
        "error_of_mean": float(genes["error_of_mean"].median()),
    }
    rows = pd.DataFrame({"meaning": _SUMMARY, "value": values})
    rows = rows.reindex(list(_SUMMARY)).rename_axis("figure")
    of_people = resample(pair, errors, seed)
    rows["low"], rows["high"] = (
        pd.Series({name: percentile_interval(v)[i] for name, v in of_people.items()}, dtype=float)
        for i in range(2)
    )
    rows["out_of_fold"] = pd.Series(
        {"gene_rho": _mean(promised[known]), "inside_90": 0.9 if total else np.nan}
    )
    rows["chance_low"], rows["chance_high"] = (
        pd.Series({name: percentile_interval(v)[i] for name, v in shuffles.figures.items()})
        for i in range(2)
    )
    if pair.n > 1:
        rows.loc["own_is_nearest", ["chance_low", "chance_high"]] = 1 / pair.n
    rows["p"] = pd.Series(
        {
            name: shuffled_p(drawn, values[name])
            for name, drawn in shuffles.figures.items()
            if len(drawn) and np.isfinite(values[name])
        },
        dtype=np.float64,
    )
    return rows


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _count_rho(rho: pd.Series, shuffles: Shuffles) -> pd.DataFrame:
    counts = np.histogram(rho.dropna(), RHO_BINS)[0]
    return pd.DataFrame(
        {
            "low": RHO_BINS[:-1],
            "high": RHO_BINS[1:],
            "genes": counts,
            "shuffled": shuffles.counts,
        }
    )


def _out_of_fold(
    evaluation: EvaluationTables | None, artefact: Artefact, part: xr.Dataset, tissue: str
) -> pd.DataFrame:
    """Return ``rho_by_fold`` by gene id, empty if it is not known.

    It is that with age and sex if everyone in ``part`` was predicted with them and it is known.
    """
    method, sources = artefact.method.name, sources_of(part)
    known = None if evaluation is None else evaluation.from_sources(sources, method)
    if evaluation is not None and part["used_age_sex"].all():
        with_both = evaluation.from_sources(sources, method + AGE_SEX)
        if with_both is not None and method + AGE_SEX in with_both.methods:
            known, method = with_both, method + AGE_SEX
    if known is None:
        return pd.DataFrame({"rho_by_fold": np.empty(0)}, index=pd.Index([], dtype=object))
    rows = known.genes_of(method, tissue, columns=["rho_by_fold"])
    return rows.set_index("gene_id")[["rho_by_fold"]]


def _describe(
    match: TableMatch,
    measured: Prepared,
    n: tuple[int, int],
    n_genes: int,
    promised: pd.DataFrame,
    part: xr.Dataset,
) -> list[Note]:
    n_samples, n_people = n
    who = counted(n_people, "person is", "people are")
    if n_samples > n_people:
        who = f"{n_samples} samples of {counted(n_people, 'person', 'people')} are"
    notes = [
        Note(
            "info",
            f"{who} predicted and measured;"
            f" {len(match.only_first)} are only predicted, {len(match.only_further)} only "
            f"measured. {n_genes:,} genes are compared.",
            "" if n_samples == n_people else "Samples of one person were averaged.",
        )
    ]
    if n_people < FEWEST:
        notes.append(
            Note(
                "warning",
                f"{n_people} people are too few for a correlation of each gene.",
                "Gene-wise rho is not given; sample-wise rho, errors and intervals are.",
                f"{FEWEST} people are needed, {FEW} or more are better.",
            )
        )
    elif n_people < FEW:
        half = 1.96 / np.sqrt(n_people - 3)
        notes.append(
            Note(
                "warning",
                f"{n_people} people are few: the 95 % interval of a gene's rho of 0 reaches from"
                f" {-np.tanh(half):.2f} to {np.tanh(half):.2f}.",
                "Look at means over genes, not at single genes.",
            )
        )
    if measured.aligned.how == "none":
        notes.append(
            Note(
                "warning",
                "The measured samples were not aligned to the reference.",
                "Coverage, errors in log2 units and sample-wise rho therefore include the "
                "difference in protocol from GTEx; gene-wise rho does not.",
                "Compare sample-wise rho with chance, which includes it too.",
            )
        )
    if match.near and not match.is_near_taken:
        near = match.near[0]
        notes.append(
            Note(
                "warning",
                f"{counted(len(match.near), 'name', 'names')} may belong to the same person, "
                f"such as"
                f" {near.expression!r} and {near.metadata!r}: they differ in {near.difference}.",
                "They were treated as different people.",
                "If they are the same people, confirm it (--near-people, near_people=True, or the"
                " switch on the page).",
            )
        )
    fewer = 0 if "is_given" not in part else int((~part["is_given"].to_numpy().all(axis=1)).sum())
    if fewer:
        notes.append(
            Note(
                "info",
                f"{counted(fewer, 'person was', 'people were')} predicted from some of the"
                " tissues.",
                "The model card's figures are of donors who give all of them.",
            )
        )
    if promised["rho_by_fold"].isna().all():
        notes.append(
            Note(
                "info",
                "How accurate this model is from these tissues was not measured in GTEx.",
                "The result can be compared only with chance.",
            )
        )
    lacking = int(promised["rho_by_fold"].isna().sum())
    if 0 < lacking < n_genes:
        notes.append(
            Note(
                "info",
                f"{counted(lacking, 'gene has', 'genes have')} no out-of-fold rho in GTEx.",
                "The model card's figures here are of the others.",
            )
        )
    if "lower" not in part:
        notes.append(
            Note("info", "The prediction has no intervals.", "Their coverage is not given.")
        )
    return notes


def _describe_nobody(match: TableMatch, names: list[str], measured: Prepared) -> str:
    words = (
        f"nobody is both predicted and measured: {name_some(names, 2)} are predicted,"
        f" {name_some(measured.samples, 2)} are measured in {measured.source}."
    )
    if match.near:
        near = match.near[0]
        return (
            f"{words} {len(match.near)} may belong to the same people, such as "
            f"{near.expression!r} and"
            f" {near.metadata!r}, which differ in {near.difference}. If they do, confirm it "
            f"(--near-people, near_people=True, or the switch on the page)."
        )
    return f"{words} Use the same name for a person's samples in both tables."
