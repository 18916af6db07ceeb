"""The studies of predictions that lie beside a model, as ``mtm study`` wrote them.

A folder holds any of ``traits/``, ``disease/``, ``pgenes/``, ``latent/`` and ``latent_held_out/``,
each with its tables and ``settings.json``; see ``docs/studies.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd
from pandas.errors import EmptyDataError

from mtm_core.data.files.what_is_it import what_is_missing
from mtm_core.errors import InputFileError
from mtm_core.grouped_table import GroupedTable, open_grouped
from mtm_core.statistics.similarity import SimilarityAgreement
from mtm_core.strict_json import read_strict_json
from mtm_core.studies.disease import DiseaseStudy
from mtm_core.studies.donor_traits import GENE_KEYS
from mtm_core.studies.latent import LatentStudy
from mtm_core.studies.predictable_genes import PredictableGenesStudy
from mtm_core.studies.traits import TraitStudy

StudyT = TypeVar("StudyT")

_KEYS = {
    "traits": ("trait", "adjusted_for", "tissue", "n_genes", "rho", "shuffled", "outcome"),
    "genes": ("trait", "adjusted_for", "tissue", "gene_id", "fdr_predicted", "fdr_observed"),
    "contrasts": ("trait", "adjusted_for", "tissue", "rho", "shuffled", "up_f1", "down_f1"),
    "status": ("trait", "tissue", "profile", "auroc", "low", "high", "outcome"),
    "curves": ("trait", "tissue", "profile", "false_positive_rate", "sensitivity"),
    "quartiles": ("annotation", "tissue", "auc", "p", "outcome"),
    "similarity": tuple(field.name for field in fields(SimilarityAgreement)),
    "pairs": ("tissue", "other_tissue", "n", "same_donor", "other_donor", "matched_donor"),
    "codes": ("n_pairs", "same_donor", "other_donor", "auc", "n_donors", "donor_p"),
    "layers": ("layer", "n_codes", "spearman", "p"),
}
"""Columns without which a table is not what it is taken for."""


@dataclass(frozen=True)
class Shipped(Generic[StudyT]):
    """A study and how it was made.

    Attributes
    ----------
    study
        Its tables.
    settings
        Cohort, method, source, shuffles and the like.
    """

    study: StudyT
    settings: dict[str, Any]


@dataclass(frozen=True)
class StudyTables:
    """Studies that come with a model; ``None`` for each that was not made.

    Attributes
    ----------
    traits, disease, predictable_genes
        Results of ``mtm study traits``, ``disease`` and ``pgenes``.
    latent, latent_held_out
        Results of ``mtm study latent``, for the training donors and for held-out donors.
    """

    traits: Shipped[TraitStudy] | None = None
    disease: Shipped[DiseaseStudy] | None = None
    predictable_genes: Shipped[PredictableGenesStudy] | None = None
    latent: Shipped[LatentStudy] | None = None
    latent_held_out: Shipped[LatentStudy] | None = None

    @classmethod
    def load(cls, folder: Path) -> StudyTables:
        """Read the studies that are there; none where the folder is missing.

        Raises
        ------
        InputFileError
            If a study is there and damaged.
        """
        return cls(
            _read(folder / "traits", _traits),
            _read(folder / "disease", _disease),
            _read(folder / "pgenes", _predictable_genes),
            _read(folder / "latent", _latent),
            _read(folder / "latent_held_out", _latent),
        )


def _read(folder: Path, make: Callable[[Path], StudyT]) -> Shipped[StudyT] | None:
    if not folder.exists():
        return None
    try:
        settings = read_strict_json((folder / "settings.json").read_bytes())
        return Shipped(make(folder), settings)
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"{folder} holds no study: {what_is_missing(error)}. Make it again with 'mtm"
            " study', or delete it."
        ) from error


def _traits(folder: Path) -> TraitStudy:
    return TraitStudy(_table(folder / "tissues.csv", "traits"), _genes(folder))


def _disease(folder: Path) -> DiseaseStudy:
    return DiseaseStudy(
        _table(folder / "pairs.csv", "contrasts"),
        _genes(folder),
        _table(folder / "status.csv", "status"),
        # Not stored by the first versions of the study.
        _table(folder / "curves.csv", "curves")
        if (folder / "curves.csv").exists()
        else pd.DataFrame(),
    )


def _predictable_genes(folder: Path) -> PredictableGenesStudy:
    (row,) = _table(folder / "similarity.csv", "similarity").to_dict("records")
    agreement = SimilarityAgreement(**{str(name): value for name, value in row.items()})
    return PredictableGenesStudy(_table(folder / "quartiles.csv", "quartiles"), agreement)


def _latent(folder: Path) -> LatentStudy:
    (codes,) = _table(folder / "codes.csv", "codes").to_dict("records")
    return LatentStudy(
        _table(folder / "pairs.csv", "pairs"),
        {str(name): float(value) for name, value in codes.items()},
        _table(folder / "layers.csv", "layers"),
    )


def _genes(folder: Path) -> pd.DataFrame | GroupedTable:
    table = open_grouped(folder / "genes.parquet", GENE_KEYS)
    if isinstance(table, pd.DataFrame):
        return _checked(table, "genes")
    lacking = [name for name in _KEYS["genes"] if name not in table.columns]
    if lacking:
        raise ValueError(f"the table of genes has no column {', '.join(lacking)}")
    return table


def _table(path: Path, kind: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except EmptyDataError:  # for example areas that nobody asked for
        return pd.DataFrame(columns=list(_KEYS[kind]))
    if "adjusted_for" in table:
        table["adjusted_for"] = table["adjusted_for"].fillna("")  # nothing was regressed out
    return _checked(table, kind)


def _checked(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    lacking = [name for name in _KEYS[kind] if name not in table]
    if lacking and len(table.columns):
        raise ValueError(f"the table of {kind} has no column {', '.join(lacking)}")
    return table.reindex(columns=list(_KEYS[kind])) if lacking else table
