"""Reference associations: planted changes are found where they are, and only aggregates stored."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, pearsonr

from mtm_core.errors import InputFileError, SelectionError
from mtm_core.grouped_table import TableOnDisk
from mtm_core.studies.reference import (
    MINIMUM_DONORS,
    QUANTILE_STEP,
    ReferenceAssociations,
    write_associations,
)
from mtm_core.studies.reference_tissue import QUANTILES
from tests.studies.conftest import DISEASED


@pytest.fixture(scope="module")
def reference(diseased_cohort: ad.AnnData) -> ReferenceAssociations:
    return ReferenceAssociations.of(diseased_cohort)


def tissue_and_donors(cohort: ad.AnnData, tissue: str) -> tuple[np.ndarray, pd.DataFrame]:
    own = cohort[cohort.obs["tissue"] == tissue]
    return np.asarray(own.X, dtype=float), cohort.uns["donors"].loc[own.obs["donor"]]


def test_rows_equal_tests_gene_by_gene(
    diseased_cohort: ad.AnnData, reference: ReferenceAssociations
) -> None:
    x, donors = tissue_and_donors(diseased_cohort, "Lung")
    women = (donors["sex"] == "female").to_numpy()
    sex, age = reference.select("sex", "Lung"), reference.select("age", "Lung")
    assert sex.index.tolist() == diseased_cohort.var_names.tolist()
    for g, gene in enumerate(sex.index):
        test = mannwhitneyu(x[women, g], x[~women, g], method="asymptotic")
        assert sex.loc[gene, "p"] == pytest.approx(test.pvalue, rel=1e-9)
        change = np.log2((x[women, g].mean() + 1) / (x[~women, g].mean() + 1))
        assert sex.loc[gene, "effect"] == pytest.approx(change, abs=1e-5)
        rho = pearsonr(np.log2(1 + x[:, g]), donors["age"]).statistic
        assert age.loc[gene, "rho"] == pytest.approx(rho, abs=1e-5)
    assert (sex["n_case"] == women.sum()).all()
    assert (sex["n"] == len(women)).all()
    np.testing.assert_array_equal(age["effect"], age["slope"])
    assert age["n_case"].isna().all()


def test_a_planted_disease_is_found_in_its_tissue_alone(
    diseased_cohort: ad.AnnData, reference: ReferenceAssociations
) -> None:
    truth = diseased_cohort.uns["truth"]["effects"]["case"]
    planted = truth != 0
    tissues = diseased_cohort.obs["tissue"].cat.categories
    assert tissues[planted.any(axis=1)].tolist() == sorted(["Whole Blood", DISEASED])
    for adjusted_for in ("", "age+sex+hardy"):
        rows = [reference.select("MHT2D", tissue, adjusted_for) for tissue in tissues]
        found = np.stack([row["fdr"] <= 0.05 for row in rows])
        effect = np.stack([row["effect"] for row in rows])
        assert found[planted].mean() >= 0.9
        assert found[~planted].mean() <= 0.1
        assert (np.sign(effect) == np.sign(truth))[planted & found].all()
        if adjusted_for:  # of two groups the slope is the planted difference itself
            assert np.abs(effect - truth)[planted].mean() < 0.25


def test_nothing_is_found_with_labels_shuffled(
    diseased_cohort: ad.AnnData, rng: np.random.Generator
) -> None:
    cohort = diseased_cohort.copy()
    donors = cohort.uns["donors"]
    cohort.uns["donors"] = donors.sample(frac=1, random_state=0).set_axis(donors.index)
    table = ReferenceAssociations.of(cohort).table
    assert (table["fdr"] <= 0.05).mean() < 0.01
    assert 0.03 < (table["p"] <= 0.05).mean() < 0.07


def test_a_confounded_association_disappears_after_adjustment(diseased_cohort: ad.AnnData) -> None:
    cohort = diseased_cohort.copy()
    donors = cohort.uns["donors"]
    hardy = np.random.default_rng(2).choice([0.0, 2.0], len(donors))
    donors["hardy"] = hardy
    donors["age"] = 45 + 15 * (hardy == 2) + np.random.default_rng(3).normal(0, 5, len(donors))
    died = (hardy == 2)[donors.index.get_indexer(cohort.obs["donor"])]
    cohort.X[died, 0] *= 4
    associations = ReferenceAssociations.of(cohort)
    gene = cohort.var_names[0]
    assert associations.select("age", "Lung").loc[gene, "fdr"] < 1e-6
    assert associations.select("age", "Lung", "sex").loc[gene, "fdr"] < 1e-6
    assert associations.select("age", "Lung", "sex+hardy").loc[gene, "p"] > 0.01


def test_small_groups_and_constant_genes_are_named(diseased_cohort: ad.AnnData) -> None:
    cohort = diseased_cohort.copy()
    cohort.X[:, 4] = 3.0
    donors = cohort.uns["donors"]
    women = np.flatnonzero(donors["sex"] == "female")
    donors.loc[donors.index[women[8:]], "sex"] = "male"  # eight women are left
    donors.loc[donors.index[45:], "MHT2D"] = pd.NA
    associations = ReferenceAssociations.of(cohort)
    table = associations.table
    few = table[table["trait"].isin(["sex", "MHT2D"])]
    assert (few["outcome"] == "too few samples").all()
    assert few[["rho", "log2_fold_change", "p", "mean_case", "mean_control"]].isna().all(axis=None)
    assert few["n_case"].max() <= 45
    age = associations.select("age", "Lung")
    assert age.index[age["outcome"] == "constant"].tolist() == [cohort.var_names[4]]
    assert "female" not in set(associations.distributions["sex"])


def test_distributions_are_those_of_the_group(
    diseased_cohort: ad.AnnData, reference: ReferenceAssociations
) -> None:
    table = reference.distributions
    assert table["n"].min() >= MINIMUM_DONORS
    x, donors = tissue_and_donors(diseased_cohort, "Lung")
    groups = {
        ("all", "all"): np.ones(len(x), dtype=bool),
        ("female", "all"): (donors["sex"] == "female").to_numpy(),
        ("male", "50-59"): ((donors["sex"] == "male") & (donors["age_band"] == "50-59")).to_numpy(),
    }
    for (sex, band), chosen in groups.items():
        rows = table[
            (table["tissue"] == "Lung") & (table["sex"] == sex) & (table["age_band"] == band)
        ].set_index("gene_id")
        assert (rows["n"] == chosen.sum()).all()
        log2 = np.log2(1 + x[chosen])
        for name, level in {"q05": 0.05, "q50": 0.5, "q95": 0.95}.items():
            expected = np.quantile(log2, level, axis=0)
            np.testing.assert_allclose(rows[name], expected, atol=1e-4)


def test_saved_associations_are_loaded_as_they_were(
    reference: ReferenceAssociations, tmp_path: Path
) -> None:
    reference.save(tmp_path / "a")
    again = ReferenceAssociations.load(tmp_path / "a")
    pd.testing.assert_frame_equal(again.table, reference.table)
    pd.testing.assert_frame_equal(again.distributions, reference.distributions)
    assert again.settings == json.loads(json.dumps(reference.settings))
    assert again.settings["simulated"] is True
    donors = "|".join(path.read_bytes().decode("latin1") for path in (tmp_path / "a").iterdir())
    assert "SIM-0" not in donors  # no donor is named


def test_written_tissue_by_tissue_they_are_the_same_to_four_digits(
    diseased_cohort: ad.AnnData, reference: ReferenceAssociations, tmp_path: Path
) -> None:
    done: list[tuple[int, int]] = []
    write_associations(diseased_cohort, tmp_path, lambda *at: done.append(at))
    stored = ReferenceAssociations.load(tmp_path)
    assert isinstance(stored.rows, TableOnDisk)
    n_tissues = len(reference.tissues)
    assert done[0] == (0, n_tissues)
    assert done[-1] == (n_tissues, n_tissues)
    assert stored.tissues == reference.tissues
    for trait, about in reference.traits.items():
        for adjusted_for in about["adjustments"]:
            for tissue in reference.tissues[:2]:
                one = reference.select(trait, tissue, adjusted_for)
                other = stored.select(trait, tissue, adjusted_for)[one.columns]
                assert other.index.tolist() == one.index.tolist()
                assert other["outcome"].tolist() == one["outcome"].tolist()
                for name in one.select_dtypes("number"):
                    np.testing.assert_allclose(other[name], one[name], rtol=2.0**-12)
    gene = str(diseased_cohort.var_names[7])
    ours, theirs = (part.distribution_of(gene, "Lung") for part in (stored, reference))
    assert ours[["sex", "age_band", "n"]].astype(str).to_numpy().tolist() == (
        theirs[["sex", "age_band", "n"]].astype(str).to_numpy().tolist()
    )
    levels = list(QUANTILES)
    np.testing.assert_allclose(ours[levels], theirs[levels], atol=QUANTILE_STEP / 2 + 1e-6)
    counts = ["n_tissues", "n_tested"]
    pd.testing.assert_frame_equal(stored.summary()[counts], reference.summary()[counts])
    ratio = stored.summary()["n_significant"] / reference.summary()["n_significant"]
    assert ratio.dropna().between(0.99, 1.01).all()


def test_unknown_traits_tissues_and_adjustments_are_named(
    reference: ReferenceAssociations, tmp_path: Path
) -> None:
    with pytest.raises(SelectionError, match="unknown trait: 'height'"):
        reference.select("height", "Lung")
    with pytest.raises(SelectionError, match="unknown tissue: 'lung'"):
        reference.select("age", "lung")
    with pytest.raises(SelectionError, match="unknown adjustment of age: 'age'"):
        reference.select("age", "Lung", "age")
    with pytest.raises(InputFileError, match="Make them with 'mtm study reference'"):
        ReferenceAssociations.load(tmp_path)
    reference.save(tmp_path)
    settings = tmp_path / "associations.json"
    settings.write_text(settings.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(InputFileError, match="format version 2"):
        ReferenceAssociations.load(tmp_path)
