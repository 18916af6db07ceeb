"""Reference associations: how expression goes with sex, age and disease in the cohort itself.

What a study's change of expression, measured or predicted, is compared with. A folder holds::

    associations.parquet    one row a (trait, adjustment, tissue, gene)
    distributions.parquet   quantiles of expression by tissue, gene, sex and age band
    associations.json       cohort, definitions, traits

Of a wide cohort both tables have millions of rows: they are written a tissue at a time, stay on
disk, and are read by group (:mod:`mtm_core.grouped_table`). Aggregates only: no number is of fewer
than ``MINIMUM_DONORS`` donors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from mtm_core import __version__
from mtm_core.data.cohort.cohort import is_simulated, tissue_names
from mtm_core.data.files.what_is_it import what_is_missing
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.grouped_table import GroupedTable, Names, as_grouped, open_grouped, whole
from mtm_core.grouped_writing import LONGEST_EXACT, ROWS_A_GROUP, save_grouped, write_grouped
from mtm_core.safe_output import writing
from mtm_core.statistics.differential import PSEUDOCOUNT
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.donor_traits import adjustment_name, known_traits
from mtm_core.studies.reference_tissue import GROUPS, MINIMUM_DONORS, QUANTILE_STEP, by_tissue

TABLE, DISTRIBUTIONS, SETTINGS = (
    "associations.parquet",
    "distributions.parquet",
    "associations.json",
)
KEYS = ("trait", "adjusted_for", "tissue")
GROUP_KEYS = ("tissue", "sex", "age_band")
"""Columns by which the two tables are grouped."""
_TEXT = ("trait", "adjusted_for", "test", "tissue", "gene_id")
TissueDone = Callable[[int, int], None]
FORMAT = "mtm-associations"
FORMAT_VERSION = 1
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

    Both tables are data frames, or left on disk: :meth:`select` and :meth:`distribution_of` read
    what is asked.

    Attributes
    ----------
    rows
        One row a (``trait``, ``adjusted_for``, ``tissue``, ``gene_id``): ``test`` (a key of
        ``DEFINITIONS``), ``n``, ``rho``, ``slope``, ``p``, ``fdr``, ``outcome``; of two groups
        without adjustment also ``n_case``, ``n_control``, ``mean_case``, ``mean_control``,
        ``log2_fold_change`` and ``auc``, NaN elsewhere. ``adjusted_for`` is ``""``, or for example
        ``"age+sex"``.
    quantile_rows
        One row a (``tissue``, ``gene_id``, ``sex``, ``age_band``): ``n`` and quantiles ``q05`` to
        ``q95`` of log2(1 + expression); sex and age band may be ``"all"``. Groups of fewer than
        ``MINIMUM_DONORS`` donors are not there.
    settings
        ``cohort_sha256``, ``unit``, ``simulated``, ``traits`` (kind, case, control), definitions.
    """

    rows: pd.DataFrame | GroupedTable
    quantile_rows: pd.DataFrame | GroupedTable
    settings: dict[str, Any]

    @classmethod
    def of(cls, cohort: ad.AnnData) -> ReferenceAssociations:
        """Take the associations of every trait that the donor table of ``cohort`` knows."""
        parts: list[pd.DataFrame] = []
        groups: list[pd.DataFrame] = []
        for _, associated, quantiles in by_tissue(cohort):
            parts += associated
            groups += quantiles
        return cls(
            with_categories(pd.concat(parts, ignore_index=True), _TEXT),
            with_categories(pd.concat(groups, ignore_index=True), GROUPS),
            settings_of(cohort),
        )

    @property
    def table(self) -> pd.DataFrame:
        """All rows: of a wide cohort millions, read anew each time."""
        return with_categories(whole(self.rows), _TEXT)

    @property
    def distributions(self) -> pd.DataFrame:
        """All quantiles: of a wide cohort millions of rows, read anew each time."""
        return with_categories(whole(self.quantile_rows), GROUPS)

    @cached_property
    def tissues(self) -> list[str]:
        """Return the tissues, by alphabet."""
        return sorted(str(name) for name in self.by_group.groups()["tissue"].unique())

    @cached_property
    def by_group(self) -> GroupedTable:
        """The rows, as they are read."""
        return as_grouped(self.rows, KEYS)

    @cached_property
    def _quantiles(self) -> GroupedTable:
        return as_grouped(self.quantile_rows, GROUP_KEYS)

    @property
    def traits(self) -> dict[str, dict[str, Any]]:
        """Return ``kind``, ``case``, ``control`` and ``adjustments`` of each trait."""
        traits: dict[str, dict[str, Any]] = self.settings["traits"]
        return traits

    def select(self, trait: str, tissue: str, adjusted_for: str = "") -> pd.DataFrame:
        """Return the rows of one trait, adjustment and tissue, indexed by gene id.

        With a column ``effect``: ``log2_fold_change`` where there is one, else ``slope``.

        Raises
        ------
        SelectionError
            If the trait, its adjustment or the tissue is not there.
        """
        for kind, name, known in (
            ("trait", trait, list(self.traits)),
            ("tissue", tissue, self.tissues),
        ):
            if name not in known:
                raise SelectionError.unknown(kind, [name], known)
        adjustments = self.traits[trait]["adjustments"]
        if adjusted_for not in adjustments:
            raise SelectionError.unknown(f"adjustment of {trait}", [adjusted_for], adjustments)
        where = {"trait": trait, "adjusted_for": adjusted_for, "tissue": tissue}
        rows = self.by_group.read(where).set_index("gene_id")
        rows.index = rows.index.astype(str)
        effect = rows["log2_fold_change"].where(rows["test"] == "rank-sum", rows["slope"])
        return rows.assign(effect=effect)

    def distribution_of(
        self,
        gene: str,
        tissue: Names | None = None,
        *,
        sex: Names | None = None,
        age_band: Names | None = None,
    ) -> pd.DataFrame:
        """Return the quantiles of one gene, a row a tissue, sex and age band, or some of these."""
        asked = {"tissue": tissue, "sex": sex, "age_band": age_band}
        where = {name: values for name, values in asked.items() if values is not None}
        return self._quantiles.read(where, genes=gene)

    def summary(self, fdr: float = 0.05) -> pd.DataFrame:
        """Count tissues and genes tested, and those with an FDR of at most ``fdr``, by trait."""
        columns = ["trait", "adjusted_for", "tissue", "fdr", "outcome"]
        parts = []
        for trait, kinds in self.by_group.groups().groupby("trait", sort=True):
            for adjusted_for in sorted(kinds["adjusted_for"].unique()):
                where = {"trait": str(trait), "adjusted_for": str(adjusted_for)}
                rows = self.by_group.read(where, columns=columns)
                tested = rows[rows["outcome"] == TESTED]
                if len(tested):
                    parts.append(
                        where
                        | {
                            "n_tissues": tested["tissue"].nunique(),
                            "n_tested": len(tested),
                            "n_significant": int((tested["fdr"] <= fdr).sum()),
                        }
                    )
        names = ["trait", "adjusted_for"]
        counts = ["n_tissues", "n_tested", "n_significant"]
        return pd.DataFrame(parts, columns=[*names, *counts]).set_index(names)

    def save(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write the tables and what they are.

        Raises
        ------
        OutputError
            As :func:`mtm_core.safe_output.writing`.
        """
        with writing(folder, overwrite=overwrite, folder=True, kind="associations") as place:
            save_grouped(self.rows, place / TABLE, KEYS)
            save_grouped(self.quantile_rows, place / DISTRIBUTIONS, GROUP_KEYS)
            write_settings(self.settings, place)

    @classmethod
    def load(cls, folder: Path) -> ReferenceAssociations:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputFileError
            If the folder does not hold associations.
        """
        try:
            settings = json.loads((folder / SETTINGS).read_text())
            if settings.get("format_version") != FORMAT_VERSION:
                raise ValueError(f"format version {settings.get('format_version')!r}")
            for name, trait in settings["traits"].items():
                parts = (name, trait["kind"], trait["case"], trait["control"])
                if not all(isinstance(text, str) for text in (*parts, *trait["adjustments"])):
                    raise ValueError(f"the trait {name!r} is not described")
            return cls(
                _opened(folder / TABLE, KEYS, _TEXT),
                _opened(folder / DISTRIBUTIONS, GROUP_KEYS, GROUPS),
                settings,
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputFileError(
                f"{folder} holds no reference associations: {what_is_missing(error)}. Make them"
                " with 'mtm study reference'."
            ) from error


def is_wide(cohort: ad.AnnData) -> bool:
    """Tell whether the associations of ``cohort`` are too many to be held at once."""
    n_rows: int = len(tissue_names(cohort)) * cohort.n_vars
    return n_rows > LONGEST_EXACT


def write_associations(cohort: ad.AnnData, folder: Path, on_tissue: TissueDone) -> None:
    """Take the associations of ``cohort`` and write them as they come, a tissue at a time.

    Nothing but a tissue's rows is held: of 49 tissues x 19,291 genes there are 27 million.

    Parameters
    ----------
    folder
        Is there already.
    on_tissue
        Called with how many tissues are done, and of how many.
    """
    n_tissues = len(tissue_names(cohort))
    with (
        write_grouped(folder / TABLE, KEYS) as table,
        write_grouped(
            folder / DISTRIBUTIONS, GROUP_KEYS, rows_a_group=2 * ROWS_A_GROUP, step=QUANTILE_STEP
        ) as distributions,
    ):
        for done, (_, associated, quantiles) in enumerate(by_tissue(cohort)):
            on_tissue(done, n_tissues)
            for part in associated:
                table.add(part)
            for group in quantiles:
                distributions.add(group)
    on_tissue(n_tissues, n_tissues)
    write_settings(settings_of(cohort), folder)


def write_settings(settings: dict[str, Any], folder: Path) -> None:
    """Write what the tables of ``folder`` are."""
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n")


def settings_of(cohort: ad.AnnData) -> dict[str, Any]:
    """Return what the associations of ``cohort`` are."""
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    return {
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
            for trait in known_traits(phenotypes)
        },
        "definitions": DEFINITIONS,
    }


def with_categories(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return ``table`` with categories in the columns ``names``, which it must have."""
    return table.astype(dict.fromkeys(names, "category"))


def _opened(path: Path, keys: Sequence[str], text: Sequence[str]) -> pd.DataFrame | GroupedTable:
    table = open_grouped(path, keys)
    return with_categories(table, text) if isinstance(table, pd.DataFrame) else table
