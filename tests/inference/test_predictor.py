"""A user's table in, other tissues out: what may change a prediction, and what may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core import __version__
from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.model_places import DEFAULT_MODEL

BLOOD = "Whole Blood"
SAMPLES = Path(__file__).parents[2] / "data_samples"


def z_of(predictor: Predictor, table: pd.DataFrame, **options: object) -> np.ndarray:
    options = {"alignment": "none", "targets": ["Lung", "Liver"]} | options
    return predictor.predict(table, **options)["z"].to_numpy()  # type: ignore[arg-type]


def test_blood_predicts_the_48_other_tissues(bundled: Predictor, counts: pd.DataFrame) -> None:
    prediction = bundled.predict(counts)
    assert dict(prediction.sizes) == {"sample": 8, "tissue": 48, "gene": 59}
    assert prediction["tissue"].to_numpy().tolist() == [t for t in bundled.tissues if t != BLOOD]
    assert prediction["sample"].to_numpy().tolist() == counts.index.tolist()
    assert prediction["gene"].to_numpy().tolist() == bundled.artefact.genes.index.tolist()
    assert prediction["symbol"].to_numpy().tolist() == bundled.artefact.genes["symbol"].tolist()
    assert prediction["found"].all()
    for name in ("z", "expression"):
        assert prediction[name].dtype == np.float32
        assert np.isfinite(prediction[name]).all()


def test_every_tissue_predicts_every_other(small: Predictor, small_cohort: ad.AnnData) -> None:
    codes = tissue_codes(small_cohort)
    for t, source in enumerate(tissue_names(small_cohort)):
        table = small_cohort[np.flatnonzero(codes == t)[:3]].to_df()
        prediction = small.predict(table, source=source)
        others = [name for name in small.tissues if name != source]
        assert prediction["tissue"].to_numpy().tolist() == others
        for target in others:
            # Against the method itself, on z-scores taken by hand.
            y = np.log2(1 + table.to_numpy(dtype=float))
            scaler = small.artefact.method.scaler
            z = ((y - scaler.mean[t]) / scaler.sd[t]).astype(np.float32)
            expected = small.artefact.method.predict({source: z}, target).mean
            np.testing.assert_allclose(prediction["z"].sel(tissue=target), expected, atol=2e-5)


def test_targets_keep_the_order_asked_for(small: Predictor, six_bloods: pd.DataFrame) -> None:
    targets = ["Muscle - Skeletal", "Lung", "Liver", "Lung"]
    prediction = small.predict(six_bloods, targets=targets)
    assert prediction["tissue"].to_numpy().tolist() == ["Muscle - Skeletal", "Lung", "Liver"]
    whole = small.predict(six_bloods)
    for target in targets[:3]:
        np.testing.assert_array_equal(
            prediction["z"].sel(tissue=target), whole["z"].sel(tissue=target)
        )


def test_each_tissue_is_reported_and_can_be_the_last(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    reported: list[tuple[int, int]] = []
    prepared = small.prepare(six_bloods, alignment="none")
    small.predict_prepared(
        prepared, ["Lung", "Liver"], on_progress=lambda *steps: reported.append(steps)
    )
    assert reported == [(0, 2), (1, 2)]

    def stop(done: int, total: int) -> None:
        if done:
            raise InterruptedError(f"before tissue {done}")

    with pytest.raises(InterruptedError, match="before tissue 1"):
        small.predict_prepared(prepared, ["Lung", "Liver"], on_progress=stop)


def test_without_alignment_a_sample_does_not_depend_on_its_batch(
    bundled: Predictor, counts: pd.DataFrame
) -> None:
    together = z_of(bundled, counts)
    for i in range(len(counts)):
        alone = z_of(bundled, counts.iloc[[i]])
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-6)
    turned = z_of(bundled, counts[::-1])
    np.testing.assert_allclose(turned[::-1], together, rtol=0, atol=1e-6)


def test_aligned_to_the_reference_a_sample_is_seen_against_its_cohort(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    shifted = six_bloods.copy()
    shifted.iloc[:, :10] = 4 * shifted.iloc[:, :10] + 3  # on log2(1 + x), 2 more in every sample
    apart, alike = (
        np.abs(z_of(small, shifted, alignment=how) - z_of(small, six_bloods, alignment=how)).max()
        for how in ("none", "cohort")
    )
    assert apart > 0.1
    assert alike < 1e-4
    source = small.prepare(six_bloods, alignment="cohort").aligned.z
    np.testing.assert_allclose(source.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(source.std(axis=0), 1, atol=1e-4)


def test_order_and_kind_of_gene_ids_do_not_matter(
    bundled: Predictor, counts: pd.DataFrame, rng: np.random.Generator
) -> None:
    expected = z_of(bundled, counts)
    genes = bundled.artefact.genes.loc[counts.columns]
    for names in (
        genes["symbol"],
        genes["symbol"].str.lower(),
        genes["entrez"],
        genes["entrez"].astype(int),
        genes.index.str.split(".").str[0],
    ):
        renamed = counts.set_axis(list(names), axis=1)
        shuffled = renamed[rng.permutation(list(names))]
        assert list(shuffled.columns) != list(renamed.columns)
        np.testing.assert_allclose(z_of(bundled, shuffled), expected, rtol=0, atol=1e-6)


def test_unit_does_not_matter_where_the_panel_is_normalised(
    bundled: Predictor, counts: pd.DataFrame
) -> None:
    expected = z_of(bundled, counts, unit="counts")
    cpm = 1e6 * counts.div(counts.sum(axis=1), axis=0)
    np.testing.assert_allclose(z_of(bundled, cpm, unit="cpm"), expected, atol=1e-5)
    np.testing.assert_allclose(z_of(bundled, cpm / 7, unit="tpm"), expected, atol=1e-5)
    log2 = np.log2(1 + cpm)
    np.testing.assert_allclose(z_of(bundled, log2, unit="log2"), expected, atol=1e-4)
    # The same, found out by itself.
    for table in (counts, cpm, log2):
        np.testing.assert_allclose(z_of(bundled, table), expected, atol=1e-4)


def test_counts_become_cpm_for_a_model_in_tpm(small: Predictor, six_bloods: pd.DataFrame) -> None:
    million = 1e6 * six_bloods.div(six_bloods.sum(axis=1), axis=0)
    expected = z_of(small, million, unit="tpm")
    np.testing.assert_allclose(z_of(small, million / 100, unit="counts"), expected, atol=1e-5)
    assert np.abs(z_of(small, million / 100, unit="tpm") - expected).max() > 0.1


def test_missing_genes_are_said_and_are_not_zeros(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    gone = six_bloods.columns[[2, 5, 30]]
    missing = small.predict(six_bloods.drop(columns=gone), alignment="none")
    assert missing["found"].to_series().index[~missing["found"]].tolist() == gone.tolist()
    assert np.isfinite(missing["z"]).all()
    scaler = small.artefact.method.scaler
    mean = np.exp2(scaler.mean[small.tissues.index(BLOOD)]) - 1
    at_mean = six_bloods.assign(**{gene: mean[six_bloods.columns.get_loc(gene)] for gene in gone})
    as_mean = small.predict(at_mean, alignment="none")
    np.testing.assert_allclose(missing["z"], as_mean["z"], atol=1e-5)
    at_zero = small.predict(six_bloods.assign(**dict.fromkeys(gone, 0.0)), alignment="none")
    assert np.abs(missing["z"] - at_zero["z"]).max() > 0.05
    prepared = small.prepare(six_bloods.drop(columns=gone), alignment="none")
    said = " ".join(str(note) for note in prepared.notes)
    assert "37 of the model's 40 genes are in the table. Missing:" in said


def test_missing_genes_do_not_raise_the_others(bundled: Predictor, counts: pd.DataFrame) -> None:
    commonest = counts.sum().sort_values(ascending=False).index[:2]
    share = counts[commonest].sum().sum() / counts.sum().sum()
    assert share > 0.2  # of the panel, so that scaling the rest to a million would show
    whole = bundled.prepare(counts, alignment="none").aligned
    less = bundled.prepare(counts.drop(columns=commonest), alignment="none").aligned
    change = (less.z - whole.z)[:, less.found]
    assert np.abs(change.mean()) < 0.25


def test_expression_is_the_inverse_of_z(bundled: Predictor, counts: pd.DataFrame) -> None:
    prediction = bundled.predict(counts)
    scaler = bundled.artefact.method.scaler
    for tissue in prediction["tissue"].to_numpy():
        t = bundled.tissues.index(tissue)
        y = prediction["z"].sel(tissue=tissue).to_numpy() * scaler.sd[t] + scaler.mean[t]
        expression = prediction["expression"].sel(tissue=tissue).to_numpy()
        np.testing.assert_allclose(expression, np.maximum(np.exp2(y) - 1, 0), rtol=1e-5)
    assert (prediction["expression"] >= 0).all()


def test_expression_of_an_extreme_sample_is_never_negative(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    extreme = six_bloods.copy()
    extreme.iloc[0] = 0.0
    extreme.iloc[0, 3] = 1e6
    prediction = small.predict(extreme, unit="tpm")
    assert (prediction["z"] < -1).any()
    assert (prediction["expression"] >= 0).all()


@pytest.mark.parametrize("name", ["blood_tpm.tsv", "blood_tpm.gct", "blood_counts.csv"])
def test_read_table_and_frame_agree_whichever_way_the_file_lies(
    bundled: Predictor, name: str
) -> None:
    table = read_expression(SAMPLES / name, known_genes=bundled.genes)
    targets = ["Lung", "Liver"]
    from_table = bundled.predict(table, targets=targets)
    from_frame = bundled.predict(table.values, targets=targets)
    assert from_table.identical(from_frame)
    tsv = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=bundled.genes)
    of_tsv = bundled.predict(tsv, targets=targets)
    assert from_table["sample"].equals(of_tsv["sample"])
    # The files round differently; counts were drawn from the TPM and agree but for chance.
    tolerance = 0.06 if name == "blood_counts.csv" else 1e-3
    assert np.abs(from_table["z"] - of_tsv["z"]).mean() < tolerance
    assert np.abs(of_tsv["z"]).mean() > 0.25


def test_prediction_says_where_it_comes_from(small: Predictor, six_bloods: pd.DataFrame) -> None:
    attrs = small.predict(six_bloods, source=BLOOD, unit="tpm").attrs
    assert attrs == {
        "model": "small",
        "model_sha256": small.artefact.sha256,
        "method": "mtm",
        "source": BLOOD,
        "input_unit": "tpm",
        "covariates": "",
        "unit": "TPM",
        "alignment": "none",
        "interval": "none",
        "mtm_version": __version__,
        "use": "For research use, not for diagnosis.",
    }


def test_loaded_model_names_its_weights(bundled: Predictor, counts: pd.DataFrame) -> None:
    attrs = bundled.predict(counts, targets=["Lung"]).attrs
    assert attrs["model"] == DEFAULT_MODEL
    assert len(attrs["model_sha256"]) == 64


def test_predicting_loads_nothing_of_training() -> None:
    """Fabric and scikit-learn cost seconds at every start."""
    script = (
        "import sys, mtm_core.cli.predict, mtm_core.inference.predictor;"
        "print({'lightning_fabric', 'sklearn', 'streamlit', 'statsmodels'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.reference
def test_an_external_cohort_is_predicted_whole(bundled: Predictor, reference_data: Path) -> None:
    path = reference_data / "gse152641_blood" / "GSE152641_counts_entrez.tsv.gz"
    table = read_expression(path, known_genes=bundled.genes)
    prediction = bundled.predict(table)
    assert prediction["z"].shape == (86, 48, 59)
    assert np.isfinite(prediction["z"]).all()
    assert np.isfinite(prediction["expression"]).all()
    assert prediction["found"].sum() == 59
    assert prediction.attrs["input_unit"] == "counts"
    assert prediction["distance_after"].median() < prediction["distance_before"].median()


@pytest.fixture(scope="module")
def reads_age_sex(small_cohort: ad.AnnData) -> Predictor:
    donors = sorted(set(small_cohort.obs["donor"]))
    method = JointGaussianMethod(n_factors=(2,), n_iterations=4, covariates=("age", "sex"))
    fitted = method.fit(small_cohort, donors)
    return Predictor(Artefact.of(fitted, small_cohort, name="age-sex", provenance={}))


def test_each_spelling_of_sex_predicts_what_the_word_predicts(
    reads_age_sex: Predictor, six_bloods: pd.DataFrame
) -> None:
    people = pd.DataFrame({"age": 60, "sex": "male"}, index=six_bloods.index)
    male, female = (
        reads_age_sex.predict(six_bloods, unit="tpm", phenotypes=people.assign(sex=sex))[
            "z"
        ].to_numpy()
        for sex in ("male", "female")
    )
    assert np.abs(male - female).max() > 1e-3
    for sex, expected in (("M", male), ("m", male), ("Male", male), ("F", female)):
        got = reads_age_sex.predict(
            six_bloods, unit="tpm", phenotypes=people.assign(sex=sex, age="60")
        )
        np.testing.assert_array_equal(got["z"], expected)
        assert got["used_age_sex"].all()
    unknown = reads_age_sex.predict(six_bloods, unit="tpm", phenotypes=people.assign(sex=None))
    assert not unknown["used_age_sex"].any()
    np.testing.assert_array_equal(unknown["z"], reads_age_sex.predict(six_bloods, unit="tpm")["z"])
    for wrong in (people.assign(sex=1), people.assign(age=-9), people.reset_index(drop=True)):
        with pytest.raises(SelectionError, match="phenotypes: "):
            reads_age_sex.predict(six_bloods, unit="tpm", phenotypes=wrong)


def test_tissues_may_be_one_name_or_an_index(small: Predictor, six_bloods: pd.DataFrame) -> None:
    name = next(tissue for tissue in small.tissues if tissue != BLOOD)
    before = six_bloods.copy(deep=True)
    usual = small.predict(six_bloods, unit="tpm", targets=[name])
    for targets in (name, pd.Index([name])):
        assert small.predict(six_bloods, unit="tpm", targets=targets).identical(usual)
    pd.testing.assert_frame_equal(six_bloods, before)
