"""The own cohort against slow references: gene by gene, tissue by tissue."""

from __future__ import annotations

import io

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy.stats import mannwhitneyu, pearsonr

from mtm_core.artefact import Artefact
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.studies.among_reference import on_reference_scale
from mtm_core.studies.cohort_comparison import KEYS, compare_groups, correlate_trait
from mtm_core.studies.design import make_design
from mtm_core.studies.formula import Factor
from mtm_core.studies.linear_comparison import compare_by_design
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.sample_labels import (
    covariate_numbers,
    groups_of,
    reference_group,
    shuffled,
    trait_numbers,
    traits_of,
    two_groups,
)

N = 24
TARGETS = ["Lung", "Liver"]


@pytest.fixture(scope="module")
def blood(small_cohort: ad.AnnData) -> pd.DataFrame:
    rows = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:N]
    table = rows.to_df().set_axis([f"P-{i}" for i in range(N)])
    return table.drop(columns=table.columns[3])  # one gene that the table lacks


@pytest.fixture(scope="module")
def prediction(small_artefact: Artefact, blood: pd.DataFrame) -> xr.Dataset:
    return Predictor(small_artefact).predict(blood, unit="tpm", targets=TARGETS)


@pytest.fixture(scope="module")
def cohort(small_artefact: Artefact, blood: pd.DataFrame, prediction: xr.Dataset) -> OwnCohort:
    prepared = Predictor(small_artefact).prepare(blood, unit="tpm")
    return OwnCohort.of(prediction, prepared, small_artefact, blood)


@pytest.fixture
def groups(cohort: OwnCohort) -> pd.Series:
    """Ten cases, nine controls, three of another group, two unknown."""
    labels = ["case"] * 10 + ["control"] * 9 + ["other"] * 3 + [np.nan] * 2
    values = np.random.default_rng(1).permutation(np.array(labels, dtype=object))
    return pd.Series(values, index=cohort.samples).replace("nan", np.nan)


@pytest.fixture
def metadata(cohort: OwnCohort) -> SampleMetadata:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "sample": cohort.samples,
            "age": rng.integers(20, 80, N),
            "sex": np.where(rng.random(N) < 0.5, "f", "m"),
            "group": np.where(rng.random(N) < 0.5, "case", "control"),
            "stage": np.array(["I", "II", "III"])[np.arange(N) % 3],
            "site": "Bern",
            "bmi": rng.normal(25, 3, N).round(1),
        }
    )
    data = io.BytesIO(table.to_csv(index=False).encode())
    return read_metadata(data, "m.csv", samples=cohort.samples.tolist())


def log2_by_hand(tissue: str, gene: str, blood: pd.DataFrame, prediction: xr.Dataset) -> pd.Series:
    """Return log2(1 + expression) of a gene: the user's own TPM, or what was predicted."""
    if tissue == "Whole Blood":
        return np.log2(1 + blood[gene].astype(float))
    return np.log2(1 + prediction["expression"].sel(tissue=tissue, gene=gene).to_pandas())


def test_source_is_what_was_measured_and_the_reference_scale_is_aligned(
    cohort: OwnCohort, small_artefact: Artefact, blood: pd.DataFrame, prediction: xr.Dataset
) -> None:
    assert cohort.tissues == ("Whole Blood", *TARGETS)
    assert [cohort.origin(tissue) for tissue in cohort.tissues] == [
        *("measured", "predicted", "predicted"),
    ]
    np.testing.assert_allclose(cohort.measured.log2, np.log2(1 + blood))
    assert cohort.genes("Whole Blood").tolist() == blood.columns.tolist()
    assert len(cohort.genes("Lung")) == 40  # the table lacks one
    lacking = next(gene for gene in cohort.genes("Lung") if gene not in blood)
    assert cohort.gene(lacking)["Whole Blood"].isna().all()
    assert cohort.gene(lacking)["Lung"].notna().all()

    prepared = Predictor(small_artefact).prepare(blood, unit="tpm")
    expression = on_reference_scale(prediction, prepared, small_artefact)
    aligned = expression[:, 0].to_pandas()
    assert np.ptp(aligned[lacking]) == 0
    # Alignment keeps the order of samples, and gives each gene the reference's mean.
    for gene in blood.columns[:10]:
        assert aligned[gene].rank().tolist() == blood[gene].rank().tolist()
    code = small_artefact.method.tissues.index("Whole Blood")
    np.testing.assert_allclose(
        np.log2(1 + aligned).mean(),
        small_artefact.method.scaler.mean[code],
        atol=0.02,
    )


def test_comparison_is_that_of_each_gene_alone(
    cohort: OwnCohort, groups: pd.Series, blood: pd.DataFrame, prediction: xr.Dataset
) -> None:
    table = compare_groups(cohort, groups, case="case", control="control")
    assert list(table.columns[:4]) == list(KEYS)
    assert table.groupby("tissue").size().to_dict() == {"Whole Blood": 39, "Lung": 40, "Liver": 40}
    assert set(table["scale"]) == {"log2(1 + TPM)"}
    for _, row in table.iloc[::7].iterrows():
        values = log2_by_hand(row["tissue"], row["gene_id"], blood, prediction)
        case, control = values[groups == "case"], values[groups == "control"]
        assert (row["n_case"], row["n_control"]) == (10, 9)
        assert row["mean_case"] == pytest.approx(case.mean(), abs=1e-5)
        assert row["mean_control"] == pytest.approx(control.mean(), abs=1e-5)
        assert row["log2_fold_change"] == pytest.approx(case.mean() - control.mean(), abs=1e-5)
        ratio = (np.exp2(case).mean()) / (np.exp2(control).mean())  # 1 is added to both means
        assert row["log2_ratio"] == pytest.approx(np.log2(ratio), abs=1e-5)
        if row["outcome"] == "tested":
            test = mannwhitneyu(case, control, method="asymptotic")
            assert row["p"] == pytest.approx(test.pvalue)
            assert row["auc"] == pytest.approx(test.statistic / 90)


def test_comparison_does_not_depend_on_order_or_on_other_tissues(
    cohort: OwnCohort, groups: pd.Series
) -> None:
    whole = compare_groups(cohort, groups, case="case", control="control")
    alone = compare_groups(
        cohort.cut(["Liver"]),
        groups.sample(frac=1, random_state=0),
        case="case",
        control="control",
    )
    expected = whole[whole["tissue"] == "Liver"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)
    turned = compare_groups(cohort, groups, case="control", control="case")
    np.testing.assert_allclose(turned["log2_fold_change"], -whole["log2_fold_change"])
    np.testing.assert_allclose(turned["p"], whole["p"])
    with pytest.raises(SelectionError, match="unknown tissue: 'Livr'"):
        cohort.cut(["Livr"])


def test_groups_that_are_not_there_are_refused(cohort: OwnCohort, groups: pd.Series) -> None:
    with pytest.raises(SelectionError, match="compared with itself"):
        compare_groups(cohort, groups, case="case", control="case")
    with pytest.raises(SelectionError, match=r"unknown group: 'cases' \(did you mean 'case'"):
        compare_groups(cohort, groups, case="cases", control="control")


def test_correlation_is_that_of_each_gene_alone(
    cohort: OwnCohort, metadata: SampleMetadata, blood: pd.DataFrame, prediction: xr.Dataset
) -> None:
    age = trait_numbers(metadata, "age")[0]
    age.iloc[:4] = np.nan
    table = correlate_trait(cohort, age)
    assert (table["n"] == N - 4).all()
    for _, row in table[table["outcome"] == "tested"].iloc[::7].iterrows():
        values = log2_by_hand(row["tissue"], row["gene_id"], blood, prediction)
        expected = pearsonr(values.iloc[4:].astype(float), age.iloc[4:])
        assert row["rho"] == pytest.approx(expected.statistic, abs=1e-4)
        assert row["p"] == pytest.approx(expected.pvalue, abs=1e-4)


def test_partial_correlation_is_that_of_least_squares_residuals(
    cohort: OwnCohort, metadata: SampleMetadata, blood: pd.DataFrame, prediction: xr.Dataset
) -> None:
    bmi = trait_numbers(metadata, "bmi")[0]
    covariates = covariate_numbers(metadata, ["age", "sex", "stage"])
    assert covariates is not None
    assert list(covariates) == ["age", "sex", "stage: II", "stage: III"]
    table = correlate_trait(cohort, bmi, covariates)
    design = sm.add_constant(covariates.to_numpy())
    left = sm.OLS(bmi.to_numpy(), design).fit().resid
    for _, row in table[table["outcome"] == "tested"].iloc[::9].iterrows():
        values = log2_by_hand(row["tissue"], row["gene_id"], blood, prediction)
        residual = sm.OLS(values.to_numpy(dtype=float), design).fit().resid
        assert row["rho"] == pytest.approx(pearsonr(left, residual).statistic, abs=1e-4)


def test_shuffling_deals_the_same_values_to_the_same_samples(groups: pd.Series) -> None:
    two = two_groups(groups, "case", "control")
    assert two.dropna().value_counts().to_dict() == {"case": 10, "control": 9}
    dealt = shuffled(two, 1)
    assert dealt.isna().equals(two.isna())
    assert dealt.value_counts().to_dict() == two.value_counts().to_dict()
    assert dealt.equals(shuffled(two, 1))
    assert not dealt.equals(shuffled(two, 2))
    assert not dealt.equals(two)


def test_traits_and_groups_are_the_columns_that_vary(metadata: SampleMetadata) -> None:
    assert traits_of(metadata) == ["age", "sex", "group", "bmi"]
    assert groups_of(metadata) == ["sex", "group", "stage"]
    sex, words = trait_numbers(metadata, "sex")
    assert words == "female 1, male 0"
    assert sex.tolist() == [float(x == "f") for x in metadata.values["sex"]]
    group, words = trait_numbers(metadata, "group")
    assert words == "case 1, control 0"
    assert group.tolist() == [float(x == "case") for x in metadata.values["group"]]
    assert trait_numbers(metadata, "age")[1] == "years"
    assert covariate_numbers(metadata, []) is None
    with pytest.raises(SelectionError, match="'stage' holds several groups, not numbers"):
        trait_numbers(metadata, "stage")


@pytest.mark.parametrize(
    ("levels", "reference"),
    [
        (["case", "control"], "control"),
        (["asthma", "Healthy donor"], "Healthy donor"),
        (["after treatment", "before treatment"], "before treatment"),
        (["active", "placebo"], "placebo"),
        (["abnormal", "normal"], "normal"),
        (["good control", "poor control"], "good control"),
        (["a", "not healthy"], "a"),
        (["control diet", "normal diet"], "control diet"),
        (["0", "-1"], "-1"),
        (["10", "5"], "5"),
        (["TRUE", "FALSE"], "FALSE"),
        (["x", "y"], "x"),
        (["diabetic", "non-diabetic"], "non-diabetic"),
        (["current smoker", "former smoker", "never smoker"], "never smoker"),
        (["CD", "nonIBD"], "nonIBD"),
        (["infection", "no infection"], "no infection"),
        (["non-responder", "responder"], "non-responder"),
        (["HIV+", "HIV-"], "HIV-"),
        (["pre-eclampsia", "normotensive"], "normotensive"),
        (["diabetic", "healthy control", "pre-diabetic"], "healthy control"),
        (["post-menopausal", "pre-menopausal"], "pre-menopausal"),
        (["Fall", "Kontrolle"], "Kontrolle"),
        (["cas", "témoin"], "témoin"),
        (["ja", "nein"], "nein"),
        (["N0", "N1"], "N0"),
        (["negative control", "treated"], "negative control"),
        (["Control 1", "Control 2"], "Control 1"),
    ],
)
def test_the_reference_group_is_found_by_its_name(levels: list[str], reference: str) -> None:
    assert reference_group(levels) == reference
    assert reference_group(levels[::-1]) == reference


def test_signs_of_traits_groups_and_designs_agree(
    cohort: OwnCohort, metadata: SampleMetadata
) -> None:
    """A sign does not depend on how groups are spelt, and can be turned round by choice."""
    measured = cohort.cut(["Whole Blood"])
    female = metadata.phenotypes()["sex"]
    for column, case, control, labels in (
        ("group", "case", "control", metadata.groups("group")),
        ("sex", "f", "m", female.map({"female": "f", "male": "m"})),
    ):
        changes = compare_groups(measured, labels, case=case, control=control)
        rho = correlate_trait(measured, trait_numbers(metadata, column)[0])
        design = make_design(metadata, column)
        assert design.matrix.columns[1] == f"{column}[{case}]"
        fitted = compare_by_design(measured, design)
        size = changes["log2_fold_change"].abs() > 1e-9
        signs = [
            np.sign(table.set_index("gene_id")[figure].reindex(changes["gene_id"]))[size.to_numpy()]
            for table, figure in (
                (changes, "log2_fold_change"),
                (rho, "rho"),
                (fitted, "log2_fold_change"),
            )
        ]
        assert len(signs[0]) > 20
        assert signs[0].equals(signs[1])
        assert signs[0].equals(signs[2])
    turned, words = trait_numbers(metadata, "group", "case")
    assert words == "control 1, case 0"
    assert (turned + trait_numbers(metadata, "group")[0]).eq(1).all()
    assert make_design(metadata, "group", references={"group": "case"}).matrix.columns[1] == (
        "group[control]"
    )
    with pytest.raises(SelectionError, match="sex is female 1, male 0, as in GTEx: 'f' cannot"):
        trait_numbers(metadata, "sex", "f")
    with pytest.raises(SelectionError, match="'bmi' has no reference group: it holds number"):
        trait_numbers(metadata, "bmi", "25")
    with pytest.raises(SelectionError, match="unknown group: 'cases'"):
        trait_numbers(metadata, "group", "cases")


def test_of_two_numbers_the_larger_is_the_higher() -> None:
    """As text 10 comes before 5: rho with a dose would have the other sign."""
    names = [f"S{i}" for i in range(8)]
    table = pd.DataFrame(
        {"sample": names, "dose": ["5", "10"] * 4, "day": ["2", "10", "7", "2"] * 2}
    )
    known = read_metadata(io.BytesIO(table.to_csv(index=False).encode()), "m.csv", samples=names)
    dose, words = trait_numbers(known, "dose")
    assert words == "10 1, 5 0"
    assert dose.tolist() == [0.0, 1.0] * 4
    assert make_design(known, "dose").matrix.columns.tolist() == ["intercept", "dose[10]"]
    assert make_design(known, "C(day)").levels[Factor("day", as_groups=True)] == ("2", "7", "10")
