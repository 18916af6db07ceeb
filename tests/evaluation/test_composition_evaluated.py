"""What is left of a prediction without the composition of the blood: nothing if that is all."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from statsmodels.api import OLS, add_constant

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names, write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import SelectionError
from mtm_core.evaluation.composition import estimated_composition, read_composition
from mtm_core.evaluation.composition_table import composition_rows, save_composition
from mtm_core.evaluation.predictability import genes_of_tissue, rank_tissues
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blood_cells import CELLS, blood_signature
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from tests.cli.conftest import Mtm
from tests.cli.conftest import cohort_file as cohort_file
from tests.cli.conftest import mtm as mtm

N_DONORS, N_OWN = 110, 10


@pytest.fixture(scope="module")
def cohort() -> tuple[ad.AnnData, pd.DataFrame]:
    """Blood of known mixtures; in the other tissues, genes that follow the neutrophils, and others.

    The last ``N_OWN`` genes have a factor of their own in blood and in the tissues, of which the
    composition knows nothing; all others follow the neutrophils in the tissues.
    """
    signature, rng = blood_signature(), np.random.default_rng(0)
    n_genes = len(signature.genes) + N_OWN
    made = simulate_cohort(SimulationConfig(n_donors=N_DONORS, n_genes=n_genes, n_tissues=3)).copy()
    names = [*signature.genes.index, *(f"ENSG09{i:09}" for i in range(N_OWN))]
    made.var_names = pd.Index(names, name=made.var_names.name)
    donors = sorted(set(made.obs["donor"]))
    shares = rng.dirichlet([6, 2, 1, 2, 2, 1], len(donors))
    own = rng.normal(size=len(donors))
    row = pd.Index(donors).get_indexer(made.obs["donor"])
    codes, blood = tissue_codes(made), tissue_names(made).index("Whole Blood")
    mixed = shares @ signature.profiles.to_numpy().T + 1
    driven = 5 + 4 * (shares[:, [0]] - shares[:, [0]].mean()) / shares[:, 0].std()
    x = np.empty(made.shape)
    for code in range(len(tissue_names(made))):
        rows = np.flatnonzero(codes == code)
        first = mixed if code == blood else np.exp2(np.repeat(driven, mixed.shape[1], axis=1) / 4)
        second = np.exp2(6 + np.repeat(own[:, None], N_OWN, axis=1))
        x[rows] = np.column_stack([first, second])[row[rows]]
        noise = 0.05 if code == blood else 0.6
        x[rows] *= np.exp2(rng.normal(0, noise, (len(rows), n_genes)))
    made.X = x.astype(np.float32)
    return made, pd.DataFrame(shares, donors, signature.profiles.columns)


def test_composition_of_donors_is_that_of_their_blood(
    cohort: tuple[ad.AnnData, pd.DataFrame],
) -> None:
    made, truth = cohort
    found = estimated_composition(made, "Whole Blood")
    assert found is not None
    assert tuple(found.columns) == CELLS
    known = truth.loc[found.index]
    np.testing.assert_allclose(found["neutrophils"], known["neutrophils"], atol=0.03)
    assert estimated_composition(made, "Lung") is None
    assert estimated_composition(made[:, -N_OWN:].copy(), "Whole Blood") is None


def test_accuracy_due_to_composition_disappears_and_other_accuracy_remains(
    cohort: tuple[ad.AnnData, pd.DataFrame], tmp_path: Path
) -> None:
    made, _ = cohort
    write_cohort(made, tmp_path / "cohort.h5ad")
    options = EvaluateOptions(
        tmp_path / "cohort.h5ad", tmp_path / "out", ("ridge",), folds=2, resamples=100,
        save_predictions=True,
    )  # fmt: skip
    evaluated = evaluate_methods(options)
    assert evaluated.knows_composition
    assert evaluated.tables.settings["composition"] == "estimated"
    genes = evaluated.tables.genes
    own = genes["gene_id"].isin(list(made.var_names[-N_OWN:]))
    before, after = "rho_composition_known", "rho_adjusted_for_composition"
    assert genes.loc[~own, before].median() > 0.6
    assert abs(genes.loc[~own, after].mean()) < 0.1
    assert genes.loc[own, before].median() > 0.6
    lost = (genes.loc[own, before] - genes.loc[own, after]).mean()
    assert abs(lost) < 0.05
    mean = evaluated.tables.summary().loc["ridge", "gene_rho_adjusted_for_composition_mean"]
    assert mean == pytest.approx(genes.groupby("tissue")[after].mean().mean(), abs=1e-6)
    ranked = rank_tissues(evaluated.tables.tissues, "ridge")
    assert ranked["gene_rho_adjusted_for_composition"].mean() == pytest.approx(mean, abs=1e-6)
    listed = genes_of_tissue(genes, "ridge", str(ranked.index[0]))
    assert {before, after} <= set(listed)
    _check_by_statsmodels(made, genes, tmp_path / "out" / "ridge.nc")


def _check_by_statsmodels(made: ad.AnnData, genes: pd.DataFrame, path: Path) -> None:
    """Correlate least-squares residuals of one gene, fitted by another library."""
    shares = estimated_composition(made, "Whole Blood")
    assert shares is not None
    with xr.open_dataset(path, engine="h5netcdf") as saved:
        tissue = str(saved["tissue"].to_numpy()[0])
        own = np.flatnonzero(saved["tissue"].to_numpy() == tissue)
        part = saved.isel(pair=own).load()
    design = add_constant(shares.loc[part["donor"].to_numpy().astype(str)].to_numpy()[:, :-1])
    for gene in (0, -1):
        sides = [part[name].to_numpy()[:, gene].astype(float) for name in ("predicted", "observed")]
        expected = np.corrcoef(*(OLS(side, design).fit().resid for side in sides))[0, 1]
        row = genes[(genes["tissue"] == tissue) & (genes["gene_id"] == made.var_names[gene])]
        assert row["rho_adjusted_for_composition"].item() == pytest.approx(expected, abs=1e-4)


def test_a_table_of_shares_goes_by_sample_or_by_donor(
    cohort: tuple[ad.AnnData, pd.DataFrame], tmp_path: Path
) -> None:
    made, truth = cohort
    path = tmp_path / "shares.csv"
    truth.assign(RMSE=0.1).rename_axis("donor").to_csv(path)
    found = read_composition(path, made, "Whole Blood")
    pd.testing.assert_frame_equal(
        found, truth.loc[found.index], check_names=False, check_dtype=False, atol=1e-9
    )
    truth.set_axis([f"X{i}" for i in range(len(truth))]).to_csv(path)
    with pytest.raises(SelectionError, match="names no sample of 'Whole Blood' and no donor"):
        read_composition(path, made, "Whole Blood")


def test_a_cohort_without_the_genes_says_so(mtm: Mtm, cohort_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = mtm("evaluate", cohort_file, "--methods=ridge", "--folds=2", "--output", output)
    assert done.code == 0, done.err
    assert "The cohort has too few marker genes of blood cells" in done.err
    assert "rho_adjusted_for_composition" not in pd.read_parquet(output / "genes.parquet")


def test_figures_of_a_later_composition_are_read_beside_an_evaluation(
    cohort: tuple[ad.AnnData, pd.DataFrame], tmp_path: Path
) -> None:
    """As if ridge alone had been scored with composition, and into a file of its own."""
    write_cohort(cohort[0], tmp_path / "cohort.h5ad")
    methods = ("ridge", "training-mean")
    scored = evaluate_methods(
        EvaluateOptions(tmp_path / "cohort.h5ad", tmp_path / "out", methods, 2, resamples=100)
    ).tables
    plain = tmp_path / "plain"
    figures = ["n_composition", "rho_composition_known", "rho_adjusted_for_composition"]
    gene_free = scored.genes.drop(columns=figures)
    free = scored.tissues.drop(columns=[f"gene_{name}" for name in figures[1:]])
    settings = scored.settings | {"composition_from": "a test"}
    EvaluationTables(gene_free, free, scored.settings).save(plain)
    assert set(figures).isdisjoint(EvaluationTables.load(plain).gene_columns)
    save_composition(composition_rows(scored.genes, ["ridge"]), plain)
    assert set(figures).isdisjoint(EvaluationTables.load(plain).gene_columns)
    (plain / "settings.json").write_text(json.dumps(settings))
    read = EvaluationTables.load(plain)
    ridge = read.genes["method"] == "ridge"
    own = scored.genes[scored.genes["method"] == "ridge"]
    for name in figures:
        np.testing.assert_allclose(read.genes.loc[ridge, name], own[name], atol=1e-5)
        assert read.genes.loc[~ridge, name].isna().all()
    for name in ("gene_rho_composition_known", "gene_rho_adjusted_for_composition"):
        ours, theirs = (
            table.set_index(["method", "tissue"])[name].xs("ridge")
            for table in (read.tissues, scored.tissues)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    read.save(plain)
    pd.testing.assert_frame_equal(
        EvaluationTables.load(plain).genes[list(read.genes)], read.genes, check_dtype=False
    )
