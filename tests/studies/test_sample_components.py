"""Components of samples, the reference among them, what goes with them: against scipy, truth."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kruskal, spearmanr
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.methods.factors import Factors
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.reference_covariance import covariance_along
from mtm_core.model_reference import QUANTILE_LEVELS
from mtm_core.studies.sample_components import component_tests, ellipse, sample_components

G, K = 80, 3


def model_of(loadings: np.ndarray, shrunk: float) -> tuple[FittedJointGaussian, np.ndarray]:
    """Give a model of one tissue whose loadings are too small, and quantiles of true distances."""
    rng = np.random.default_rng(1)
    noise = 1 - (loadings**2).sum(axis=1)
    z = rng.normal(size=(20_000, K)) @ loadings.T + rng.normal(size=(20_000, G)) * np.sqrt(noise)
    distance = np.quantile(np.sqrt((z**2).mean(axis=1)), QUANTILE_LEVELS)
    small = loadings * shrunk
    factors = Factors(
        small[None], small[None], (1 - (small**2).sum(axis=1))[None], np.empty((0, K)),
        np.empty((0, K)),
    )  # fmt: skip
    scaler = TissueScaler(np.full((1, G), 5.0), np.full((1, G), 0.5), "log2")
    return FittedJointGaussian(scaler, ("Whole Blood",), (factors,)), distance


@pytest.fixture(scope="module")
def loadings() -> np.ndarray:
    return np.random.default_rng(0).normal(0, [0.6, 0.4, 0.2], (G, K)).clip(-0.7, 0.7) * 0.8


@pytest.mark.parametrize("shrunk", [1.0, 0.6])
def test_the_references_spread_is_that_of_its_donors(loadings: np.ndarray, shrunk: float) -> None:
    """Also where loadings are shrunk: how far donors lie from their mean tells by how much."""
    model, distance = model_of(loadings, shrunk)
    directions = np.linalg.svd(loadings, full_matrices=False)[0]
    high, middle = QUANTILE_LEVELS.index(0.95), QUANTILE_LEVELS.index(0.5)
    spread = float((distance[high] / distance[middle]) ** 2)
    found = covariance_along(model, 0, np.arange(G), directions, spread)
    truth = loadings @ loadings.T
    np.fill_diagonal(truth, 1)
    assert found is not None
    expected = np.diag(directions.T @ truth @ directions)
    np.testing.assert_allclose(np.diag(found), expected, rtol=0.25)


def artefact_of(loadings: np.ndarray) -> Artefact:
    model, distance = model_of(loadings, 0.7)
    genes = pd.DataFrame({"symbol": "", "entrez": ""}, [f"G{i}" for i in range(G)])
    reference = SimpleNamespace(distance=distance[:, None])
    parts = SimpleNamespace(method=model, genes=genes, reference=reference)
    return cast("Artefact", parts)


def test_nine_in_ten_donors_lie_within_their_outline(loadings: np.ndarray) -> None:
    artefact, rng = artefact_of(loadings), np.random.default_rng(2)
    noise = np.sqrt(1 - (loadings**2).sum(axis=1))
    z = rng.normal(size=(3_000, K)) @ loadings.T + rng.normal(size=(3_000, G)) * noise
    donors = pd.DataFrame(5 + 0.5 * z, columns=artefact.genes.index)
    own = donors.iloc[:40] + rng.normal(0, 1, G)  # of another protocol
    components = sample_components(own, artefact, "Whole Blood")
    assert components is not None
    scores = (donors.to_numpy() - own.to_numpy().mean(axis=0)) @ components.loadings.reindex(
        donors.columns
    ).to_numpy()
    np.testing.assert_allclose(components.centre, scores.mean(axis=0), atol=0.2)
    line = ellipse(components, 0, 1, 0.9)
    centre = components.centre[:2]
    angle = np.unwrap(np.arctan2(line["y"] - centre[1], line["x"] - centre[0]))
    radius = np.hypot(line["x"] - centre[0], line["y"] - centre[1])
    order = np.argsort(angle)
    away = scores[:, :2] - centre
    own_angle = np.arctan2(away[:, 1], away[:, 0])
    outline = np.interp(own_angle, angle[order], radius[order], period=2 * np.pi)
    assert 0.84 < (np.hypot(*away.T) < outline).mean() < 0.95


def test_tests_are_scipys_and_shares_those_of_anova(rng: np.random.Generator) -> None:
    n = 24
    batch = np.array(["a", "b", "c"] * (n // 3))
    frame = pd.DataFrame(
        {"sample": [f"S{i}" for i in range(n)], "batch": batch, "rin": rng.normal(7, 1, n)}
    )
    frame.loc[0, "rin"] = np.nan
    samples = list(frame["sample"])
    known = read_metadata(BytesIO(frame.to_csv(index=False).encode()), "m.csv", samples=samples)
    scores = pd.DataFrame(rng.normal(size=(n, 2)), samples, ["PC1", "PC2"])
    scores["PC2"] += 3 * (batch == "b")
    table = component_tests(scores, known).set_index(["component", "column"])
    rho, p = spearmanr(scores["PC1"].iloc[1:], frame["rin"].iloc[1:])
    row = table.loc[("PC1", "rin")]
    assert (row["n"], row["test"]) == (23, "Spearman")
    np.testing.assert_allclose(row[["statistic", "p"]].astype(float), [rho, p], rtol=1e-4)
    test = kruskal(*(scores.loc[batch == level, "PC2"] for level in "abc"))
    row = table.loc[("PC2", "batch")]
    np.testing.assert_allclose(row[["statistic", "p"]].astype(float), test)
    anova = anova_lm(ols("y ~ C(g)", pd.DataFrame({"y": scores["PC2"], "g": batch})).fit())
    assert row["explained"] == pytest.approx(anova["sum_sq"].iloc[0] / anova["sum_sq"].sum())
    np.testing.assert_allclose(table["fdr"], false_discovery_control(table["p"]))
