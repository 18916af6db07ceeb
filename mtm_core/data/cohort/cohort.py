"""A cohort: many tissues of many donors, as one ``AnnData``.

Layout of the ``AnnData`` (and of its ``.h5ad``):

- ``X`` (samples, genes) float32, linear, in ``uns["mtm"]["unit"]``
- ``obs`` indexed by sample: ``donor``, ``tissue`` (categorical, in alphabetic order)
- ``var`` indexed by gene id: ``symbol``, ``entrez``, ``gene_type`` (empty if unknown), and
  ``chromosome`` where a gene table gave it
- ``uns["donors"]`` indexed by donor: phenotypes; ``uns["tissues"]``: abbreviation, colour,
  ontology id and sample count of each tissue, in the order of the categories
- ``uns["mtm"]``: ``unit``, ``normalise``, ``sha256`` of the expression values
- ``uns["truth"]``: what the numbers were drawn from, of a simulated cohort only
  (:mod:`mtm_core.data.cohort.simulate`)
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem
from numpy.typing import NDArray

from mtm_core.data.cohort.normalise import UNIT_AFTER, Normalisation, normalise
from mtm_core.data.cohort.pairs import ordered_pairs
from mtm_core.data.files.self_contained import check_hdf5
from mtm_core.data.files.what_is_it import what_it_is
from mtm_core.data.genes.ids import strip_version
from mtm_core.data.gtex.annotations import WHOLE_BLOOD, tissue_table
from mtm_core.data.people.exact_phenotypes import exact_phenotypes
from mtm_core.errors import CohortError, InputFileError
from mtm_core.safe_output import whole_file, writing

logger = logging.getLogger(__name__)

MINIMUM_SAMPLES = 51
"""The paper keeps tissues with "sample sizes greater than 50"."""
MINIMUM_TISSUES = 2
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class CohortSummary:
    """Size and contents of a cohort."""

    n_tissues: int
    n_samples: int
    n_donors: int
    n_donors_with_blood: int
    n_pairs: int
    n_genes: int
    unit: str


def build_cohort(
    expression: ad.AnnData,
    samples: pd.DataFrame,
    donors: pd.DataFrame | None = None,
    *,
    gene_table: pd.DataFrame | None = None,
    normalisation: Normalisation = "none",
    minimum_samples: int = MINIMUM_SAMPLES,
    minimum_tissues: int = MINIMUM_TISSUES,
) -> ad.AnnData:
    """Join expression with annotations and apply the paper's filters (section 2.1).

    First the tissues with fewer than ``minimum_samples`` samples go, then the donors with fewer
    than ``minimum_tissues`` of the tissues that are left.

    Parameters
    ----------
    expression
        (samples, genes), linear, as :func:`mtm_core.data.gtex.gct.read_gct` gives it.
    samples
        ``donor`` and ``tissue`` by sample.
    donors
        Phenotypes by donor; donors it lacks get missing values.
        :func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes` says how age and sex are
        written.
    gene_table
        ``symbol``, ``entrez``, ``gene_type`` by Ensembl id without version.

    Raises
    ------
    CohortError
        If no sample has a tissue, a donor has a tissue twice, or the filters leave nothing.
    SelectionError
        If an age or a sex of ``donors`` is not understood.
    """
    obs = choose_samples(
        expression.obs_names,
        samples,
        minimum_samples=minimum_samples,
        minimum_tissues=minimum_tissues,
    )
    rows = expression.obs_names.get_indexer(obs.index)
    chosen = ad.AnnData(
        X=_samples_in_rows(np.asarray(expression.X), rows),
        obs=pd.DataFrame(index=obs.index),
        var=expression.var,
    )
    return cohort_of(chosen, obs, donors, gene_table=gene_table, normalisation=normalisation)


def choose_samples(
    names: pd.Index, samples: pd.DataFrame, *, minimum_samples: int, minimum_tissues: int
) -> pd.DataFrame:
    """Choose those of the samples ``names`` that the paper's filters keep.

    Returns
    -------
    pandas.DataFrame
        ``donor`` and ``tissue`` (categorical) by sample, in the order of ``names``.

    Raises
    ------
    CohortError
        As :func:`build_cohort`.
    """
    known = names.isin(samples.index)
    if not known.any():
        raise CohortError(
            f"none of the {len(names)} samples of the expression file is in the sample"
            f" attributes: {names[0]!r} against {samples.index[0]!r}."
            " Are both of the same release?"
        )
    if not known.all():
        logger.warning(
            "%d of %d samples have no tissue in the sample attributes and are left out.",
            int((~known).sum()),
            len(known),
        )
    obs = samples.loc[names[known], ["donor", "tissue"]]
    if obs.duplicated().any():
        donor, tissue = obs[obs.duplicated()].iloc[0]
        raise CohortError(f"donor {donor!r} has two samples of {tissue!r}; one is expected.")
    chosen = filter_samples(obs, minimum_samples=minimum_samples, minimum_tissues=minimum_tissues)
    obs = obs.loc[chosen]
    obs["tissue"] = pd.Categorical(obs["tissue"])
    return obs


def cohort_of(
    expression: ad.AnnData,
    obs: pd.DataFrame,
    donors: pd.DataFrame | None = None,
    *,
    gene_table: pd.DataFrame | None = None,
    normalisation: Normalisation = "none",
) -> ad.AnnData:
    """Make a cohort of the samples that :func:`choose_samples` chose, and no others.

    The values of ``expression`` are not copied: where nothing is normalised, they are the cohort's.

    Raises
    ------
    CohortError, SelectionError
        As :func:`build_cohort`.
    """
    cohort = ad.AnnData(
        X=normalise(np.asarray(expression.X), normalisation),
        obs=obs,
        var=_describe_genes(expression.var, gene_table),
    )
    return finish_cohort(
        cohort, donors, unit=UNIT_AFTER[normalisation], normalisation=normalisation
    )


def filter_samples(
    obs: pd.DataFrame, *, minimum_samples: int, minimum_tissues: int
) -> NDArray[np.bool_]:
    """Return which samples of ``obs`` (``donor``, ``tissue``) the paper's two filters keep.

    Raises
    ------
    CohortError
        If they keep fewer than two tissues.
    """
    per_tissue = obs["tissue"].map(obs["tissue"].value_counts()).to_numpy()
    enough = per_tissue >= minimum_samples
    per_donor = obs["donor"].map(obs.loc[enough, "donor"].value_counts()).fillna(0).to_numpy()
    chosen: NDArray[np.bool_] = enough & (per_donor >= minimum_tissues)
    logger.info(
        "%d tissues have at least %d samples: %d samples of %d donors; %d donors have at least %d"
        " of these tissues: %d samples.",
        obs.loc[enough, "tissue"].nunique(),
        minimum_samples,
        int(enough.sum()),
        obs.loc[enough, "donor"].nunique(),
        obs.loc[chosen, "donor"].nunique(),
        minimum_tissues,
        int(chosen.sum()),
    )
    if obs.loc[chosen, "tissue"].nunique() < 2:
        raise CohortError(
            f"fewer than two tissues have {minimum_samples} samples of donors with"
            f" {minimum_tissues} tissues; the largest tissue has {per_tissue.max()} samples."
            " Lower the minimum counts."
        )
    return chosen


def write_cohort(cohort: ad.AnnData, path: Path, *, overwrite: bool = False) -> None:
    """Write a cohort as ``.h5ad``, compressed: the whole file or, if interrupted, none.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    # Level 1: expression is noise to gzip, and more effort takes twice as long for 2 %.
    how = {"compression": "gzip", "compression_opts": 1}
    with (
        writing(path, overwrite=overwrite) as place,
        whole_file(place) as target,
        h5py.File(target, "w") as file,
    ):
        write_elem(file, "/", cohort, dataset_kwargs=how)


def read_cohort(path: Path | str) -> ad.AnnData:
    """Read a cohort that :func:`write_cohort` wrote.

    Raises
    ------
    InputFileError
        If the file is no ``.h5ad``, or not one of ``mtm data prepare``.
    """
    path = Path(path)
    look_at_cohort(path)
    try:
        return ad.read_h5ad(path)
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{path}: the cohort cannot be read; the file is damaged. Make it again with 'mtm data"
            f" prepare'. ({error})"
        ) from error


@dataclass(frozen=True)
class CohortOutline:
    """Outline of a cohort's file, read without its values.

    Attributes
    ----------
    n_samples, n_genes, n_donors
        How many there are.
    tissues
        In the order of their codes.
    has_phenotypes
        Whether anything is known of the donors.
    """

    n_samples: int
    n_genes: int
    n_donors: int
    tissues: tuple[str, ...]
    has_phenotypes: bool


def look_at_cohort(path: Path) -> CohortOutline:
    """Look whether ``path`` is a cohort that :func:`write_cohort` wrote, and of what.

    Raises
    ------
    InputFileError
        If it is not: what it is.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputFileError(f"{path}: {what}. Make a cohort with 'mtm data prepare'.")
    if not h5py.is_hdf5(path):
        raise InputFileError(
            f"{path}: expected a cohort (.h5ad) of 'mtm data prepare', got {what_it_is(path)}."
        )
    try:
        with h5py.File(path, "r") as file:
            check_hdf5(file)
            n_samples, n_genes = file["X"].shape
            samples = ad.io.read_elem(file["obs"])
            tissues = samples["tissue"].cat.categories
            str(file["uns/mtm/sha256"][()])
            return CohortOutline(
                int(n_samples),
                int(n_genes),
                int(samples["donor"].nunique()),
                tuple(str(name) for name in tissues),
                len(file["uns/donors"].attrs["column-order"]) > 0,
            )
    except InputFileError:
        raise
    except Exception as error:  # whatever h5py and AnnData raise on what others wrote
        raise InputFileError(
            f"{path}: an .h5ad or other HDF5 file, but not a cohort. Make one with 'mtm data"
            " prepare'."
        ) from error


def summarise(cohort: ad.AnnData) -> CohortSummary:
    """Count what ``cohort`` holds."""
    blood = cohort.obs["tissue"] == WHOLE_BLOOD
    return CohortSummary(
        n_tissues=len(tissue_names(cohort)),
        n_samples=cohort.n_obs,
        n_donors=cohort.obs["donor"].nunique(),
        n_donors_with_blood=int(blood.sum()),
        n_pairs=len(ordered_pairs(cohort.obs["donor"])),
        n_genes=cohort.n_vars,
        unit=str(cohort.uns["mtm"]["unit"]),
    )


def tissue_names(cohort: ad.AnnData) -> tuple[str, ...]:
    """Return the tissues of ``cohort``, in the order of their codes."""
    return tuple(cohort.obs["tissue"].cat.categories)


def tissue_codes(cohort: ad.AnnData) -> NDArray[np.int64]:
    """Return each sample's tissue (N,) as an index into :func:`tissue_names`."""
    codes: NDArray[np.int64] = cohort.obs["tissue"].cat.codes.to_numpy().astype(np.int64)
    return codes


def is_simulated(cohort: ad.AnnData) -> bool:
    """Tell whether ``cohort`` was simulated; if so, whatever shows it says so."""
    return "truth" in cohort.uns


def finish_cohort(
    cohort: ad.AnnData, donors: pd.DataFrame | None, *, unit: str, normalisation: str
) -> ad.AnnData:
    """Add the donor and tissue tables to ``X``, ``obs`` and ``var``; say what the numbers are."""
    ids = pd.Index(sorted(cohort.obs["donor"].unique()), name="donor")
    cohort.uns["donors"] = _writable(
        pd.DataFrame(index=ids) if donors is None else exact_phenotypes(donors).reindex(ids)
    )
    counts = cohort.obs["tissue"].value_counts(sort=False)
    tissues = tissue_table().reindex(tissue_names(cohort)).fillna("")
    tissues["n_samples"] = counts.reindex(tissues.index).to_numpy()
    tissues.index.name = "tissue"
    cohort.uns["tissues"] = tissues
    digest = hashlib.sha256(np.ascontiguousarray(cohort.X).data)
    digest.update("\n".join([*cohort.obs_names, *cohort.var_names]).encode())
    cohort.uns["mtm"] = {
        "unit": unit,
        "normalise": normalisation,
        "sha256": digest.hexdigest(),
    }
    return cohort


def _samples_in_rows(values: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Take ``rows`` of ``values``, whichever way it lies in memory, as one array row by row.

    A few rows at a time: a transposed copy in one go takes the matrix once more, and misses the
    processor's cache at every step.
    """
    taken = np.empty((len(rows), values.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        taken[part] = values[rows[part]]
    return taken


def _describe_genes(var: pd.DataFrame, gene_table: pd.DataFrame | None) -> pd.DataFrame:
    genes = pd.DataFrame({"symbol": var["symbol"].astype(str)}, index=var.index)
    columns = ["entrez", "gene_type"]
    if gene_table is None:
        return genes.assign(**dict.fromkeys(columns, ""))
    known = gene_table.reindex([strip_version(gene) for gene in genes.index]).fillna("")
    if "chromosome" in known and known["chromosome"].any():
        columns.append("chromosome")
    for column in columns:
        genes[column] = known[column].to_numpy()
    return genes


def _writable(donors: pd.DataFrame) -> pd.DataFrame:
    """Get a donor table whose columns ``.h5ad`` can hold: text with '' for missing, or numbers."""
    table = donors.copy()
    for name in table.columns:
        if table[name].dtype == object:
            table[name] = table[name].fillna("").astype(str)
    return table
