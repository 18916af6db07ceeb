"""Several tissues of the same people: who is predicted from what, and with which intervals."""

from __future__ import annotations

from math import inf
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.blocks import predict_blocks
from mtm_core.inference.export import write_prediction
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.together import tissues_given
from mtm_core.inference.wide import write_wide
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.stack import StackMethod

BLOOD, LUNG = "Whole Blood", "Lung"


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=80, n_genes=20, n_tissues=5))


@pytest.fixture(scope="module")
def predictor(cohort: ad.AnnData) -> Predictor:
    joint = JointGaussianMethod((3, 5), 10, ridge=1.0, covariates=("age", "sex"))
    method = StackMethod((KernelFactorsMethod(joint, n_points=20),), n_inner=2, n_further=1)
    fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    return Predictor(Artefact.of(fitted, cohort, name="several", provenance={}))


@pytest.fixture(scope="module")
def further(predictor: Predictor) -> str:
    (tissue,) = predictor.artefact.method.further  # type: ignore[attr-defined]
    return str(tissue)


def table_of(cohort: ad.AnnData, tissue: str, n: int) -> pd.DataFrame:
    """The first ``n`` donors of a tissue, by donor."""
    own = cohort[np.flatnonzero(cohort.obs["tissue"] == tissue)[:n]]
    return own.to_df().set_axis(own.obs["donor"].astype(str).to_list())


@pytest.fixture(scope="module")
def tables(cohort: ad.AnnData, further: str) -> dict[str, pd.DataFrame]:
    """Blood of some donors, and the further tissue of others, some of them the same."""
    blood, other = table_of(cohort, BLOOD, 15), table_of(cohort, further, 18)
    assert set(blood.index) & set(other.index)
    assert set(blood.index) - set(other.index)
    assert set(other.index) - set(blood.index)
    return {BLOOD: blood, further: other}


def z_by_hand(predictor: Predictor, table: pd.DataFrame, tissue: str) -> pd.DataFrame:
    scaler, t = predictor.artefact.method.scaler, predictor.tissues.index(tissue)
    z = (np.log2(1 + table.to_numpy(dtype=float)) - scaler.mean[t]) / scaler.sd[t]
    return pd.DataFrame(z.astype(np.float32), index=table.index)


def test_each_person_is_predicted_from_the_tissues_that_there_are(
    predictor: Predictor, tables: dict[str, pd.DataFrame], further: str
) -> None:
    prediction = predictor.predict(tables=tables, targets=None, unit="tpm", alignment="none")
    blood, other = tables[BLOOD], tables[further]
    people = [*blood.index, *(name for name in other.index if name not in blood.index)]
    assert prediction["sample"].to_numpy().tolist() == people
    assert not {BLOOD, further} & set(prediction["tissue"].to_numpy().tolist())
    z = {tissue: z_by_hand(predictor, table, tissue) for tissue, table in tables.items()}
    method = predictor.artefact.method
    assert float(prediction["z"].std("sample").min()) > 0.01
    for target in prediction["tissue"].to_numpy():
        for person in people:
            given = {t: own.loc[[person]].to_numpy() for t, own in z.items() if person in own.index}
            expected = method.predict(given, target)
            shown = prediction.sel(sample=person, tissue=target)
            np.testing.assert_allclose(shown["z"], expected.mean[0], atol=3e-5)
            there = shown["is_given"].to_numpy()
            assert shown["given_tissue"].to_numpy()[there].tolist() == list(given)
            if BLOOD not in given:  # intervals were learnt from blood, and from both
                assert np.isnan(shown["lower"]).all()
                continue
            assert expected.sd is not None
            assert expected.multipliers is not None
            high = expected.mean[0] + expected.multipliers[90][0] * expected.sd[0]
            t = predictor.tissues.index(target)
            linear = np.maximum(2 ** (high * method.scaler.sd[t] + method.scaler.mean[t]) - 1, 0)
            np.testing.assert_allclose(shown["upper"], linear, rtol=1e-3, atol=1e-3)
    n = len(blood)
    assert prediction.attrs["source"] == BLOOD
    assert prediction.attrs["further_sources"] == further
    assert f"; for {n} of {len(people)} people" in prediction.attrs["interval"]
    assert f"alone and with any of {further}" in prediction.attrs["interval"]


def test_one_table_in_tables_equals_one_table(
    predictor: Predictor, tables: dict[str, pd.DataFrame]
) -> None:
    one = predictor.predict(tables[BLOOD], unit="tpm")
    xr.testing.assert_identical(predictor.predict(tables={BLOOD: tables[BLOOD]}, unit="tpm"), one)
    assert "is_given" not in one


def test_a_combination_that_was_not_measured_has_no_interval(
    predictor: Predictor, cohort: ad.AnnData, further: str
) -> None:
    unknown = next(t for t in predictor.tissues if t not in (BLOOD, further))
    tables = {t: table_of(cohort, t, 12) for t in (BLOOD, unknown)}
    prediction = predictor.predict(tables=tables, unit="tpm", alignment="none")
    both = prediction["is_given"].all("given_tissue").to_numpy()
    blood_alone = (prediction["is_given"].to_numpy() == [True, False]).all(axis=1)
    assert both.any()
    assert blood_alone.any()
    for name in ("lower", "upper"):
        known = np.isfinite(prediction[name]).all(("tissue", "gene")).to_numpy()
        np.testing.assert_array_equal(known, blood_alone)
    everyone = tables[BLOOD].index.intersection(tables[unknown].index)
    alike = {tissue: table.loc[everyone] for tissue, table in tables.items()}
    prediction = predictor.predict(tables=alike, unit="tpm", alignment="none")
    assert "lower" not in prediction
    assert prediction.attrs["interval"].startswith("none: ")


def test_decoded_later_and_block_by_block_they_are_the_same(
    predictor: Predictor, tables: dict[str, pd.DataFrame]
) -> None:
    together = predictor.prepare_tables(tables, unit="tpm")
    now = predictor.predict_prepared(together, at_once=inf)
    later = predictor.predict_prepared(together, at_once=0)
    parts = list(predict_blocks(predictor, together, block_bytes=5000))
    assert len(parts) > 1
    joined = xr.concat(parts, "sample", data_vars="minimal")
    for name in ("z", "expression", "lower", "upper"):
        np.testing.assert_allclose(later[name].to_numpy(), now[name], atol=1e-5)
        np.testing.assert_allclose(joined[name].to_numpy(), now[name], rtol=1e-5, atol=1e-4)
    some = later["upper"].isel(sample=[20, 3, 0], gene=[4]).to_numpy()
    np.testing.assert_allclose(some, now["upper"].isel(sample=[20, 3, 0], gene=[4]), atol=1e-4)


def test_age_and_sex_go_with_the_person(
    predictor: Predictor, tables: dict[str, pd.DataFrame], further: str
) -> None:
    last = tables[further].index[-1]
    assert last not in tables[BLOOD].index
    known = pd.DataFrame({"age": [70.0], "sex": ["male"]}, index=[last])
    options = {"tables": tables, "unit": "tpm", "alignment": "none"}
    with_age = predictor.predict(**options, phenotypes=known)  # type: ignore[arg-type]
    without = predictor.predict(**options)  # type: ignore[arg-type]
    changed = np.abs(with_age["z"] - without["z"]).max(("tissue", "gene")).to_numpy() > 0
    assert with_age["sample"].to_numpy()[changed].tolist() == [last]
    assert with_age["sample"].to_numpy()[with_age["used_age_sex"]].tolist() == [last]


def test_similar_names_are_matched_only_on_request(
    predictor: Predictor, tables: dict[str, pd.DataFrame], further: str
) -> None:
    shared = [name for name in tables[BLOOD].index if name in tables[further].index]
    blood, other = (table.loc[shared] for table in tables.values())
    named = {
        BLOOD: blood.rename(index="{}_blood".format),
        further: other.rename(index="{}-2".format),
    }
    with pytest.raises(SelectionError, match=r"no sample name in common.*near_people=True"):
        predictor.predict(tables=named, unit="tpm")
    asked = predictor.predict(tables=named, unit="tpm", near_people=True)
    expected = predictor.predict(tables={BLOOD: blood, further: other}, unit="tpm")
    np.testing.assert_array_equal(asked["z"], expected["z"])
    assert asked["sample"].to_numpy().tolist() == list(named[BLOOD].index)


def test_tables_that_cannot_be_combined_are_refused(
    predictor: Predictor, tables: dict[str, pd.DataFrame], further: str
) -> None:
    with pytest.raises(SelectionError, match=f"'{further}' is a source"):
        predictor.predict(tables=tables, targets=[LUNG, further], unit="tpm")
    with pytest.raises(SelectionError, match=r"give one table .* or tables="):
        predictor.predict(tables[BLOOD], tables=tables)
    with pytest.raises(SelectionError, match=r"give one table .* or tables="):
        predictor.predict()
    with pytest.raises(SelectionError, match="no table is given"):
        predictor.predict(tables={})
    with pytest.raises(ExpressionError, match=f"{further}: .*unit"):
        predictor.predict(tables=tables, unit={BLOOD: "tpm", further: "log2"})
    with pytest.raises(SelectionError, match="unknown tissue"):
        predictor.predict(tables={BLOOD: tables[BLOOD], "Skin": tables[further]})


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".h5ad", ".zarr"])
def test_every_format_holds_them(
    predictor: Predictor, tables: dict[str, pd.DataFrame], ending: str, tmp_path: Path
) -> None:
    prediction = predictor.predict(tables=tables, unit="tpm", targets=None)
    path = tmp_path / f"predicted{ending}"
    write_prediction(prediction, path)
    expected = prediction["upper"].to_numpy().ravel()
    match ending:
        case ".csv":
            values = pd.read_csv(path)["upper"].to_numpy()
        case ".parquet":
            values = pd.read_parquet(path)["upper"].to_numpy()
        case ".h5ad":
            stored = ad.read_h5ad(path)
            values = stored.layers["upper"].ravel()
            assert set(stored.obs["tissues_given"]) == set(tissues_given(prediction))
            assert stored.uns["mtm"]["further_sources"] == prediction.attrs["further_sources"]
        case _:
            store = xr.open_zarr(path, consolidated=False)
            assert tissues_given(store) == tissues_given(prediction)
            values = store["upper"].to_numpy().ravel()
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    if ending == ".csv":
        write_wide(prediction, tmp_path / "wide", values=("upper",))
        samples = pd.read_csv(tmp_path / "wide" / "samples.csv")
        assert samples["tissues_given"].tolist() == tissues_given(prediction)
