"""Two groups in all genes at once, against scipy a gene at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

from mtm_core.statistics.differential import differential_expression

Array = np.ndarray
N_GENES = 12
GENES = [f"G{g}" for g in range(N_GENES)]


@pytest.fixture
def case(rng: np.random.Generator) -> Array:
    """Skewed; half of the genes rounded, so that they tie; gene 0 twice as high as in controls."""
    values = np.exp2(rng.normal(3, 1, size=(17, N_GENES)))
    values[:, 0] *= 2
    values[:, 6:] = np.round(values[:, 6:] / 4)
    return values


@pytest.fixture
def control(rng: np.random.Generator) -> Array:
    values = np.exp2(rng.normal(3, 1, size=(23, N_GENES)))
    values[:, 6:] = np.round(values[:, 6:] / 4)
    return values


def test_test_and_area_equal_scipy(case: Array, control: Array) -> None:
    table = differential_expression(case, control, GENES)
    assert table.index.name == "gene_id"
    assert table.index.tolist() == GENES
    for g, gene in enumerate(GENES):
        expected = mannwhitneyu(case[:, g], control[:, g], method="asymptotic")
        assert table.loc[gene, "p"] == pytest.approx(expected.pvalue, rel=1e-12)
        pairs = np.sign(case[:, g][:, None] - control[:, g][None])
        assert table.loc[gene, "auc"] == pytest.approx(((pairs + 1) / 2).mean(), rel=1e-12)
    np.testing.assert_allclose(table["fdr"], false_discovery_control(table["p"]), rtol=1e-12)
    assert (table["outcome"] == "tested").all()
    assert (table["n_case"] == 17).all()
    assert (table["n_control"] == 23).all()


def test_fold_change_is_that_of_mean_expression(case: Array, control: Array) -> None:
    table = differential_expression(case, control, GENES, pseudocount=0.5)
    means = np.array([column.mean() for column in case.T]), np.array([c.mean() for c in control.T])
    np.testing.assert_allclose(table["mean_case"], means[0], rtol=1e-12)
    np.testing.assert_allclose(table["mean_control"], means[1], rtol=1e-12)
    expected = [np.log2((a + 0.5) / (b + 0.5)) for a, b in zip(*means, strict=True)]
    np.testing.assert_allclose(table["log2_fold_change"], expected, rtol=1e-12)


def test_groups_exchanged_turn_the_direction_alone(case: Array, control: Array) -> None:
    table = differential_expression(case, control, GENES)
    turned = differential_expression(control, case, GENES)
    np.testing.assert_allclose(turned["log2_fold_change"], -table["log2_fold_change"], atol=1e-14)
    np.testing.assert_allclose(turned["auc"], 1 - table["auc"], atol=1e-14)
    np.testing.assert_allclose(turned["p"], table["p"], rtol=1e-9)


def test_order_of_samples_does_not_matter_nor_other_genes(
    rng: np.random.Generator, case: Array, control: Array
) -> None:
    table = differential_expression(case, control, GENES)
    shuffled = differential_expression(rng.permutation(case), rng.permutation(control), GENES)
    alone = differential_expression(case[:, :1], control[:, :1], GENES[:1])
    for column in ("p", "auc", "log2_fold_change"):
        np.testing.assert_allclose(shuffled[column], table[column], rtol=1e-10, atol=1e-14)
        assert alone[column].iloc[0] == pytest.approx(table[column].iloc[0], rel=1e-12)


def test_a_constant_gene_is_named_and_not_counted(case: Array, control: Array) -> None:
    case[:, 3] = control[:, 3] = 7.0
    case[:, 4] = 2.0  # constant in one group only: that is a difference
    table = differential_expression(case, control, GENES)
    assert table.index[table["outcome"] == "constant"].tolist() == ["G3"]
    assert table.loc["G3", ["auc", "p", "fdr"]].isna().all()
    assert table.loc["G3", "log2_fold_change"] == 0
    assert table.drop("G3").notna().all(axis=None)
    rest = [g for g in range(N_GENES) if g != 3]
    without = differential_expression(case[:, rest], control[:, rest], [GENES[g] for g in rest])
    np.testing.assert_allclose(table["fdr"].drop("G3"), without["fdr"], rtol=1e-12)


@pytest.mark.parametrize("n_case", [0, 2])
def test_too_few_samples_are_named(case: Array, control: Array, n_case: int) -> None:
    table = differential_expression(case[:n_case], control, GENES)
    assert (table["outcome"] == "too few samples").all()
    assert table[["auc", "p", "fdr"]].isna().all(axis=None)
    assert table["log2_fold_change"].isna().all() == (n_case == 0)
    assert table["mean_control"].notna().all()


def test_no_genes_give_an_empty_table(case: Array, control: Array) -> None:
    assert differential_expression(case[:, :0], control[:, :0], []).empty


def test_values_that_are_not_linear_expression_are_refused(case: Array, control: Array) -> None:
    case[0, 0] = -0.1
    with pytest.raises(ValueError, match="linear expression: finite numbers, 0 or more"):
        differential_expression(case, control, GENES)
    case[0, 0] = np.nan
    with pytest.raises(ValueError, match="linear expression: finite numbers, 0 or more"):
        differential_expression(case, control, GENES)
    with pytest.raises(ValueError, match=r"two \(samples, 12\) arrays, got \(17, 12\)"):
        differential_expression(case, control[:, 1:], GENES)
