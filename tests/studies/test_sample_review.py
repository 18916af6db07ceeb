"""Samples looked at before a prediction: planted faults are found, and nothing else."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.inference.marker_genes import find_markers, marker_genes
from mtm_core.inference.predictor import Predictor
from mtm_core.studies.sample_review import review_samples
from mtm_core.studies.sample_sex import sex_of_samples

N, N_GENES = 30, 6_000
WOMEN = np.arange(N) % 2 == 0


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("gtex_v8_acmg59_stack")


@pytest.fixture(scope="module")
def counts(predictor: Predictor) -> pd.DataFrame:
    """30 bloods: the model's genes as in the reference, marker genes, and many others."""
    rng = np.random.default_rng(0)
    scaler, code = predictor.artefact.method.scaler, predictor.tissues.index("Whole Blood")
    z = rng.normal(size=(N, len(predictor.artefact.genes)))
    own = np.exp2(scaler.mean[code] + scaler.sd[code] * z) - 1
    own = pd.DataFrame(own.clip(0) / 50, columns=predictor.artefact.genes.index)
    level = pd.Series(50.0, marker_genes().index)
    level[marker_genes()["kind"] == "ribosomal"] = 2000.0
    markers = pd.DataFrame(np.tile(level.to_numpy(), (N, 1)), columns=level.index)
    kind = marker_genes()["kind"].to_numpy()
    markers.loc[WOMEN, kind == "Y"] = 0.0
    markers.loc[~WOMEN, kind == "XIST"] = 0.0
    names = [f"OTHER{i}" for i in range(N_GENES - own.shape[1] - markers.shape[1])]
    others = pd.DataFrame(
        rng.lognormal(3, 1.5, len(names)) * rng.lognormal(0, 0.2, (N, len(names))), columns=names
    )
    table = pd.concat([own, markers, others], axis=1)
    return pd.DataFrame(rng.poisson(table), [f"P{i:02}" for i in range(N)], table.columns).astype(
        float
    )


def known_of(table: pd.DataFrame, sex: list[str]) -> SampleMetadata:
    rows = pd.DataFrame({"sample": table.index, "sex": sex, "batch": ["a", "b", "c"] * (N // 3)})
    data = BytesIO(rows.to_csv(index=False).encode())
    return read_metadata(data, "meta.csv", samples=list(table.index))


def words(review) -> str:
    return " ".join(str(note) for note in review.notes)


def test_ordinary_samples_have_no_reason(counts: pd.DataFrame, predictor: Predictor) -> None:
    stated = ["female" if woman else "male" for woman in WOMEN]
    review = review_samples(counts, predictor, unit="counts", metadata=known_of(counts, stated))
    assert review.outliers.empty
    assert list(review.samples["sex_by_genes"]) == stated
    assert (review.samples["nearest_tissue"] == "Whole Blood").mean() > 0.9
    np.testing.assert_array_equal(review.samples["library_size"], counts.sum(axis=1))
    np.testing.assert_array_equal(review.samples["genes_detected"], (counts > 0).sum(axis=1))
    ribosomal = marker_genes().index[marker_genes()["kind"] == "ribosomal"]
    share = counts[ribosomal].sum(axis=1) / counts.sum(axis=1)
    np.testing.assert_allclose(review.samples["ribosomal"], share)
    log2 = np.log2(1 + counts.div(counts.sum(axis=1), axis=0) * 1e6)
    rho = log2.T.corr().where(~np.eye(N, dtype=bool))
    np.testing.assert_allclose(review.samples["median_correlation"], rho.median(), atol=1e-10)


def test_components_tissues_and_sex_levels_are_those_of_numpy(
    counts: pd.DataFrame, predictor: Predictor
) -> None:
    review = review_samples(counts, predictor, unit="counts")
    own = counts[predictor.artefact.genes.index]
    panel = np.log2(1 + own.div(own.sum(axis=1), axis=0) * 1e6).to_numpy()
    left, size, _ = np.linalg.svd(panel - panel.mean(axis=0), full_matrices=False)
    components = review.components
    assert components is not None
    n = components.scores.shape[1]
    np.testing.assert_allclose(np.abs(components.scores), np.abs(left * size)[:, :n], atol=1e-3)
    explained = size[:n] ** 2 / (size**2).sum()
    np.testing.assert_allclose(components.shares, explained, rtol=1e-4)
    means = predictor.artefact.method.scaler.mean.astype(float)
    rho = [
        [np.corrcoef(x - means.mean(axis=0), y - means.mean(axis=0))[0, 1] for y in means]
        for x in panel
    ]
    by_tissue = pd.DataFrame(rho, counts.index, list(predictor.tissues))
    np.testing.assert_allclose(review.likeness, by_tissue, atol=1e-4)
    samples = review.samples
    np.testing.assert_allclose(samples["nearest_rho"], by_tissue.max(axis=1), atol=1e-4)
    np.testing.assert_allclose(samples["source_rho"], by_tissue["Whole Blood"], atol=1e-4)
    rank = by_tissue.rank(axis=1, ascending=False)["Whole Blood"]
    assert samples["source_rank"].tolist() == rank.tolist()
    log2 = np.log2(1 + counts.div(counts.sum(axis=1), axis=0) * 1e6)
    kind = marker_genes()["kind"]
    np.testing.assert_allclose(samples["xist"], log2[kind.index[kind == "XIST"]].iloc[:, 0])
    np.testing.assert_allclose(samples["y"], log2[kind.index[kind == "Y"]].median(axis=1))


def test_planted_faults_are_named(counts: pd.DataFrame, predictor: Predictor) -> None:
    rng, faulty = np.random.default_rng(1), counts.copy()
    faulty.iloc[0] = rng.poisson(counts.iloc[0] / 20)  # a small library
    faulty.iloc[1] = rng.permutation(counts.iloc[1].to_numpy())  # of nothing
    markers = find_markers(list(counts.columns))
    faulty.iloc[3, markers["haemoglobin"]] = counts.iloc[3].sum() / 20
    faulty.iloc[4, markers["Y"]] = 20.0  # a woman's, with a man's in it
    stated = ["female" if woman else "male" for woman in WOMEN]
    stated[6] = "male"
    review = review_samples(faulty, predictor, unit="counts", metadata=known_of(faulty, stated))
    reasons = review.samples["reasons"]
    assert "small library" in reasons["P00"]
    assert "correlates" in reasons["P01"]
    assert "haemoglobin share of" in reasons["P03"]
    assert reasons["P04"] == "genes of both sexes"
    assert reasons["P06"] == "sex by genes is female"
    assert set(review.outliers.index) == {"P00", "P01", "P03", "P04", "P06"}
    assert "The genes of 1 sample show another sex than the metadata: 'P06'" in words(review)


def test_a_review_of_59_genes_names_missing_checks(
    counts: pd.DataFrame, predictor: Predictor
) -> None:
    own = counts[predictor.artefact.genes.index]
    review = review_samples(own, predictor, unit="counts")
    assert not {"genes_detected", "haemoglobin", "sex_by_genes"} & set(review.samples)
    said = words(review)
    assert "Neither XIST nor genes of the Y chromosome are in the table" in said
    assert "The table has 59 genes, fewer than 5,000" in said
    assert review.tests.empty


def test_four_samples_have_no_components(counts: pd.DataFrame, predictor: Predictor) -> None:
    review = review_samples(counts.iloc[:4], predictor, unit="counts")
    assert review.components is None
    assert "fewer than the 5 that components need" in words(review)
    assert "robust_distance" not in review.samples
    for n in (1, 2):
        few = review_samples(counts.iloc[:n], predictor, unit="counts").samples
        assert not few["reasons"].str.contains("with the others").any()


def test_another_tissue_is_seen(counts: pd.DataFrame, predictor: Predictor) -> None:
    method = predictor.artefact.method
    liver = np.exp2(method.scaler.mean[predictor.tissues.index("Liver")]) - 1
    table = counts[predictor.artefact.genes.index].copy()
    table.iloc[2] = liver
    review = review_samples(table, predictor, unit="counts")
    assert review.samples["reasons"]["P02"].endswith("most like Liver")
    whole = review_samples(table.iloc[[2] * 6].set_axis(list("abcdef")), predictor, unit="counts")
    assert "are more like another tissue of the reference than like Whole Blood" in words(whole)


def test_sex_by_one_kind_of_gene_alone() -> None:
    y = pd.DataFrame({"RPS4Y1": [0.1, 6.0], "DDX3Y": [0.0, 5.0], "UTY": [0.0, 5.5]}, ["a", "b"])
    found = sex_of_samples(y)
    assert found is not None
    assert list(found["sex_by_genes"]) == ["female", "male"]
    x = sex_of_samples(pd.DataFrame({"ENSG00000229807.12": [7.0, 0.2]}, ["a", "b"]))
    assert x is not None
    assert list(x["sex_by_genes"]) == ["female", "male"]
    assert sex_of_samples(pd.DataFrame({"TP53": [1.0]}, ["a"])) is None
    both = sex_of_samples(pd.DataFrame({"XIST": [9.0, 1.0], "UTY": [6.0, 1.2]}, ["a", "b"]))
    assert both is not None
    assert list(both["sex_by_genes"]) == ["both", "unclear"]


def test_a_sample_of_one_value_has_no_correlation(
    counts: pd.DataFrame, predictor: Predictor
) -> None:
    table = counts[predictor.artefact.genes.index].iloc[:6].copy()
    table.iloc[0] = 1.0
    median = review_samples(table, predictor, unit="tpm").samples["median_correlation"]
    rho = np.log2(1 + table.iloc[1:]).T.corr().to_numpy()
    expected = [np.median(np.delete(row, i)) for i, row in enumerate(rho)]
    assert np.isnan(median.iloc[0])
    np.testing.assert_allclose(median.iloc[1:], expected, rtol=1e-6)
