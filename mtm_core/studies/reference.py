"""Reference associations: how expression goes with sex, age and disease in the cohort itself.

What a study's change of expression, measured or predicted, is compared with. A folder holds::

    associations.parquet    one row a (trait, adjustment, tissue, gene)
    distributions.parquet   quantiles of expression by tissue, gene, sex and age band
    associations.json       cohort, definitions, traits

Aggregates only: no number is of fewer than ``MINIMUM_DONORS`` donors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core import __version__
from mtm_core.data.cohort import is_simulated, tissue_codes, tissue_names
from mtm_core.data.exact_phenotypes import exact_phenotypes
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.safe_output import writing
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import PSEUDOCOUNT, differential_expression
from mtm_core.statistics.outcome import TESTED, outcome_column
from mtm_core.studies.donor_traits import Trait, adjustment_name, covariates_of, known_traits

FORMAT = "mtm-associations"
FORMAT_VERSION = 1
MINIMUM_DONORS = 10
"""Donors of a tissue behind any number here."""
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
ALL = "all"
"""Donors of either sex, or of every age."""

DEFINITIONS = {
    "rank-sum": "Wilcoxon's rank-sum test, two-sided, normal approximation with ties corrected",
    "correlation": "Pearson of log2(1 + expression) and the trait (of two groups, 1 and 0)",
    "partial correlation": "the same with the adjustment regressed out of both sides",
    "log2_fold_change": "log2((mean of cases + 1) / (mean of controls + 1)) of linear expression",
    "slope": "change of log2(1 + expression) for a unit of the trait (a year, or case for control)",
    "auc": "chance that a case is above a control",
    "fdr": "Benjamini and Hochberg over the genes of a tissue",
}


@dataclass(frozen=True)
class ReferenceAssociations:
    """The associations of one cohort.

    Attributes
    ----------
    table
        One row a (``trait``, ``adjusted_for``, ``tissue``, ``gene_id``): ``test`` (a key of
        ``DEFINITIONS``), ``n``, ``rho``, ``slope``, ``p``, ``fdr``, ``outcome``; of two groups
        without adjustment also ``n_case``, ``n_control``, ``mean_case``, ``mean_control``,
        ``log2_fold_change`` and ``auc``, NaN elsewhere. ``adjusted_for`` is ``""``, or such as
        ``"age+sex"``.
    distributions
        One row a (``tissue``, ``gene_id``, ``sex``, ``age_band``): ``n`` and quantiles ``q05`` to
        ``q95`` of log2(1 + expression); sex and age band may be ``"all"``. Groups of fewer than
        ``MINIMUM_DONORS`` donors are not there.
    settings
        ``cohort_sha256``, ``unit``, ``simulated``, ``traits`` (kind, case, control), definitions.
    """

    table: pd.DataFrame
    distributions: pd.DataFrame
    settings: dict[str, Any]

    @classmethod
    def of(cls, cohort: ad.AnnData) -> ReferenceAssociations:
        """Take the associations of every trait that the donor table of ``cohort`` knows."""
        phenotypes: pd.DataFrame = cohort.uns["donors"]
        traits = known_traits(phenotypes)
        parts = [
            part.assign(tissue=tissue)
            for tissue, donors, expression in tissues_of(cohort)
            for trait in traits
            for part in _associate(trait, donors, expression, cohort.var_names, phenotypes)
        ]
        table = pd.concat(parts, ignore_index=True)
        for name in _KEYS:
            table[name] = table[name].astype("category")
        settings = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "mtm_version": __version__,
            "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
            "unit": str(cohort.uns["mtm"]["unit"]),
            "simulated": is_simulated(cohort),
            "n_donors": len(phenotypes),
            "pseudocount": PSEUDOCOUNT,
            "minimum_donors": MINIMUM_DONORS,
            "traits": {
                trait.name: {
                    "kind": trait.kind,
                    "case": trait.case,
                    "control": trait.control,
                    "minimum_group": trait.minimum_group,
                    "adjustments": ["", *(adjustment_name(a) for a in trait.adjustments)],
                }
                for trait in traits
            },
            "definitions": DEFINITIONS,
        }
        return cls(table, _distributions(cohort), settings)

    @property
    def traits(self) -> dict[str, dict[str, Any]]:
        """Give ``kind``, ``case``, ``control`` and ``adjustments`` of each trait."""
        traits: dict[str, dict[str, Any]] = self.settings["traits"]
        return traits

    def select(self, trait: str, tissue: str, adjusted_for: str = "") -> pd.DataFrame:
        """Give the rows of one trait, adjustment and tissue, indexed by gene id.

        With a column ``effect``: ``log2_fold_change`` where there is one, else ``slope``.

        Raises
        ------
        SelectionError
            If the trait, its adjustment or the tissue is not there.
        """
        table = self.table
        for kind, name, known in (
            ("trait", trait, list(self.traits)),
            ("tissue", tissue, list(table["tissue"].cat.categories)),
        ):
            if name not in known:
                raise SelectionError.unknown(kind, [name], known)
        adjustments = self.traits[trait]["adjustments"]
        if adjusted_for not in adjustments:
            raise SelectionError.unknown(f"adjustment of {trait}", [adjusted_for], adjustments)
        rows = table[
            (table["trait"] == trait)
            & (table["adjusted_for"] == adjusted_for)
            & (table["tissue"] == tissue)
        ].set_index("gene_id")
        rows.index = rows.index.astype(str)
        effect = rows["log2_fold_change"].where(rows["test"] == "rank-sum", rows["slope"])
        return rows.assign(effect=effect)

    def summary(self, fdr: float = 0.05) -> pd.DataFrame:
        """Count tissues and genes tested, and those with an FDR of at most ``fdr``, by trait."""
        tested = self.table[self.table["outcome"] == TESTED]
        return (
            tested.assign(significant=tested["fdr"] <= fdr)
            .groupby(["trait", "adjusted_for"], observed=True)
            .agg(
                n_tissues=("tissue", "nunique"),
                n_tested=("significant", "size"),
                n_significant=("significant", "sum"),
            )
        )

    def save(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write the tables and what they are.

        Raises
        ------
        OutputError
            As :func:`mtm_core.safe_output.writing`.
        """
        with writing(folder, overwrite=overwrite, folder=True, kind="associations") as place:
            self.table.to_parquet(place / "associations.parquet", index=False, compression="zstd")
            self.distributions.to_parquet(
                place / "distributions.parquet", index=False, compression="zstd"
            )
            text = json.dumps(self.settings, indent=1) + "\n"
            (place / "associations.json").write_text(text)

    @classmethod
    def load(cls, folder: Path) -> ReferenceAssociations:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputFileError
            If the folder does not hold associations.
        """
        try:
            settings = json.loads((folder / "associations.json").read_text())
            if settings.get("format_version") != FORMAT_VERSION:
                raise ValueError(f"format version {settings.get('format_version')!r}")
            for name, trait in settings["traits"].items():
                parts = (name, trait["kind"], trait["case"], trait["control"])
                if not all(isinstance(text, str) for text in (*parts, *trait["adjustments"])):
                    raise ValueError(f"the trait {name!r} is not described")
            return cls(
                _with_categories(pd.read_parquet(folder / "associations.parquet"), _KEYS),
                _with_categories(pd.read_parquet(folder / "distributions.parquet"), _GROUPS),
                settings,
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputFileError(
                f"{folder} holds no reference associations ({error}). Make them with"
                " 'mtm study reference'."
            ) from error


def _with_categories(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Give ``table`` with categories in the columns ``names``, which it must have."""
    return table.astype(dict.fromkeys(names, "category"))


def tissues_of(
    cohort: ad.AnnData,
) -> Iterator[tuple[str, NDArray[np.str_], NDArray[np.float32]]]:
    """Give each tissue's name, donors (N,) and linear expression (N, G)."""
    codes = tissue_codes(cohort)
    donor = cohort.obs["donor"].to_numpy().astype(str)
    for code, name in enumerate(tissue_names(cohort)):
        rows = np.flatnonzero(codes == code)
        yield name, donor[rows], np.asarray(cohort.X[rows])


def _associate(
    trait: Trait,
    donors: NDArray[np.str_],
    expression: NDArray[np.float32],
    genes: pd.Index,
    phenotypes: pd.DataFrame,
) -> list[pd.DataFrame]:
    """Give the rows of one trait in one tissue: raw, then each adjustment."""
    ids = [str(gene) for gene in genes]
    values = trait.of(donors)
    counts = {"n": int(np.isfinite(values).sum())}
    enough = counts["n"] >= MINIMUM_DONORS
    if trait.kind == "two groups":
        counts |= {"n_case": int((values == 1).sum()), "n_control": int((values == 0).sum())}
        enough &= min(counts["n_case"], counts["n_control"]) >= trait.minimum_group
    if not enough:
        values = np.full(len(values), np.nan)  # so that every row is named "too few samples"
    log2 = np.log2(1 + expression)
    raw = trait_association(log2, values, ids)
    test = "correlation"
    if trait.kind == "two groups":
        compared = differential_expression(expression[values == 1], expression[values == 0], ids)
        raw = compared.join(raw[["rho", "slope"]])
        test = "rank-sum"
    parts = [_labelled(raw.assign(**counts), trait.name, "", test)]
    for names in trait.adjustments:
        covariates = covariates_of(phenotypes, donors, names)
        adjusted = trait_association(log2, values, ids, covariates=covariates)
        label = adjustment_name(names)
        parts.append(_labelled(adjusted.assign(**counts), trait.name, label, "partial correlation"))
    return parts


_KEYS = ("trait", "adjusted_for", "test", "tissue", "gene_id")
_GROUPS = ("tissue", "gene_id", "sex", "age_band")
_NUMBERS = (
    "n", "n_case", "n_control", "mean_case", "mean_control", "log2_fold_change", "auc",
    "rho", "slope", "p", "fdr",
)  # fmt: skip
_DOUBLE = frozenset({"p", "fdr"})
"""The smallest p-values are below the least number of single precision."""


def _labelled(rows: pd.DataFrame, trait: str, adjusted_for: str, test: str) -> pd.DataFrame:
    """Give ``rows`` with their keys in front and every column there."""
    table = pd.DataFrame(
        {"trait": trait, "adjusted_for": adjusted_for, "test": test, "tissue": ""},
        index=range(len(rows)),
    )
    table["gene_id"] = rows.index.to_numpy()
    for name in _NUMBERS:
        dtype = np.float64 if name in _DOUBLE else np.float32
        table[name] = rows[name].to_numpy(dtype) if name in rows else dtype(np.nan)
    return table.assign(outcome=outcome_column(rows["outcome"].to_numpy()))


def _distributions(cohort: ad.AnnData) -> pd.DataFrame:
    """Give quantiles of log2(1 + expression) by tissue, gene, sex and age band."""
    phenotypes = exact_phenotypes(cohort.uns["donors"])
    genes = cohort.var_names.to_numpy().astype(str)
    groups = {
        name: phenotypes.get(name, pd.Series("", index=phenotypes.index)).fillna("").astype(str)
        for name in ("sex", "age_band")
    }
    parts = []
    for tissue, donors, expression in tissues_of(cohort):
        log2 = np.log2(1 + expression)
        sex, band = (group.reindex(donors).to_numpy() for group in groups.values())
        for one_sex in (ALL, *sorted(set(sex) - {""})):
            for one_band in (ALL, *sorted(set(band) - {""})):
                rows = ((sex == one_sex) | (one_sex == ALL)) & (
                    (band == one_band) | (one_band == ALL)
                )
                if rows.sum() < MINIMUM_DONORS:
                    continue
                levels = np.quantile(log2[rows], list(QUANTILES.values()), axis=0)
                columns = dict(zip(QUANTILES, levels.astype(np.float32), strict=True))
                parts.append(
                    pd.DataFrame(
                        {
                            "tissue": tissue,
                            "gene_id": genes,
                            "sex": one_sex,
                            "age_band": one_band,
                            "n": int(rows.sum()),
                            **columns,
                        }
                    )
                )
    table = pd.concat(parts, ignore_index=True)
    for name in _GROUPS:
        table[name] = table[name].astype("category")
    return table
