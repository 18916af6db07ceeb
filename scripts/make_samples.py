"""Write ``data_samples/``: simulated blood profiles to try the tool on.

Of a cohort's whole blood only three aggregates are used: the mean, SD and correlation of the genes
on the scale log2(1 + panel CPM). New people are drawn from the multivariate normal with these
moments; no donor's row is written. See ``data_samples/README.md`` for the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anndata as ad
import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.gtex.gct import write_gct
from mtm_core.safe_output import OwnFolder

N_CASES, N_CONTROLS = 20, 20
N_CHANGED, LOG2_FOLD_CHANGE = 8, 0.8
PANEL_TPM, PANEL_COUNTS = 1_000, 60_000  # of a sample, on average, over the panel's genes


def draw_people(
    log2_cpm: NDArray[np.float64], n: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw ``n`` people with the moments of ``log2_cpm`` (donors, genes), on its scale.

    Zeros skew the genes of blood to the left, so the normal's right tail would go beyond any
    donor: draws stay within 2 SD of the mean.
    """
    mean, sd = log2_cpm.mean(axis=0), log2_cpm.std(axis=0)
    covariance = np.cov(log2_cpm, rowvar=False)
    draws = rng.multivariate_normal(mean, covariance, size=n, method="cholesky")
    return np.clip(draws, np.maximum(mean - 2 * sd, 0), mean + 2 * sd)


def changed_genes(log2_cpm: NDArray[np.float64], symbols: pd.Index) -> list[str]:
    """Choose the genes of the planted case effect: those that vary least among expressed ones."""
    mean = pd.Series(log2_cpm.mean(axis=0), index=symbols)
    sd = pd.Series(log2_cpm.std(axis=0), index=symbols)
    return list(sd[mean > mean.median()].sort_values().index[:N_CHANGED])


def simulate(
    log2_cpm: NDArray[np.float64], symbols: pd.Index, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return panel shares (samples, genes; rows add up to 1) and the samples' metadata."""
    n = N_CASES + N_CONTROLS
    names = pd.Index([f"SIM-{number:03d}" for number in range(1, n + 1)], name="sample")
    is_case = rng.permutation(n) < N_CASES
    people = pd.DataFrame(draw_people(log2_cpm, n, rng), index=names, columns=symbols)
    for number, gene in enumerate(changed_genes(log2_cpm, symbols)):
        people.loc[is_case, gene] += LOG2_FOLD_CHANGE if number % 2 == 0 else -LOG2_FOLD_CHANGE
    cpm = 2**people - 1
    metadata = pd.DataFrame(
        {
            "group": np.where(is_case, "case", "control"),
            "sex": rng.choice(["male", "female"], size=n),
            "age": rng.integers(25, 76, size=n),
        },
        index=names,
    )
    return cpm.div(cpm.sum(axis=1), axis=0), metadata


def main(
    cohort: Annotated[Path, typer.Option(help="Cohort (.h5ad) in panel CPM.")],
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = Path("data_samples"),
    seed: int = 0,
) -> None:
    """Write four files: the same 40 people as TPM, as counts and as GCT, and their metadata."""
    source = read_cohort(cohort)
    blood = source[source.obs["tissue"] == WHOLE_BLOOD]
    log2_cpm = np.log2(1 + np.asarray(blood.X, dtype=np.float64))
    symbols = pd.Index(source.var["symbol"])
    rng = np.random.default_rng(seed)
    shares, metadata = simulate(log2_cpm, symbols, rng)

    tpm = shares.mul(PANEL_TPM * rng.lognormal(0, 0.2, size=len(shares)), axis=0)
    depth = PANEL_COUNTS * rng.lognormal(0, 0.4, size=len(shares))
    counts = pd.DataFrame(
        rng.poisson(shares.mul(depth, axis=0)).T,
        index=pd.Index(source.var_names, name="gene_id"),
        columns=shares.index,
    )
    own = OwnFolder.among(folder, "samples")
    with own.adding() as place:
        tpm.to_csv(place / "blood_tpm.tsv", sep="\t", float_format="%.4f", lineterminator="\n")
        counts.to_csv(place / "blood_counts.csv", lineterminator="\n")
        metadata.to_csv(place / "metadata.tsv", sep="\t", lineterminator="\n")
        write_gct(
            ad.AnnData(tpm.to_numpy(), obs=tpm[[]].copy(), var=source.var[["symbol"]]),
            place / "blood_tpm.gct",
        )
    typer.echo(
        f"{len(tpm)} simulated samples in {folder};"
        f" case effect in {', '.join(changed_genes(log2_cpm, symbols))}."
    )


if __name__ == "__main__":
    typer.run(main)
