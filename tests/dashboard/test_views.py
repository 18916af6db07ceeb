from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.dashboard.state.gene_names import gene_labels
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets import views
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.data.cohort.scaling import from_scale
from mtm_core.inference.export import to_long_table
from mtm_core.inference.predictor import Predictor


def test_labels_are_symbols_where_these_are_unique() -> None:
    genes = pd.DataFrame({"symbol": ["B", "A", "B", ""]}, index=["E1", "E2", "E3", "E4"])
    assert gene_labels(genes) == {"A": "E2", "B (E1)": "E1", "B (E3)": "E3", "(E4)": "E4"}


def test_cuts_are_the_values_of_the_dataset(prediction: xr.Dataset, predictor: Predictor) -> None:
    labels = gene_labels(predictor.artefact.genes)
    gene = labels["TP53"]
    by_gene = views.z_of_tissue(prediction, "Liver", labels)
    by_tissue = views.z_of_gene(prediction, gene)
    one = prediction.sel(sample="SIM-007", tissue="Liver", gene=gene)
    assert by_gene.loc["SIM-007", "TP53"] == float(one["z"])
    assert by_tissue.loc["SIM-007", "Liver"] == float(one["z"])
    log2 = views.log2_of_gene(prediction, gene).loc["SIM-007", "Liver"]
    assert log2 == pytest.approx(np.log2(1 + float(one["expression"])), rel=1e-6)


def test_interval_holds_the_value_and_is_its_own_samples(prediction: xr.Dataset) -> None:
    gene = str(prediction["gene"].values[3])
    ends = views.interval_of_gene(prediction, gene, "SIM-007")
    assert ends is not None
    value = views.log2_of_gene(prediction, gene).loc["SIM-007"]
    assert (ends["lower"] <= value).all()
    assert (value <= ends["upper"]).all()
    known = prediction.sel(gene=gene, sample="SIM-007", tissue="Liver")
    assert ends.loc["Liver", "upper"] == pytest.approx(np.log2(1 + float(known["upper"])))
    without = prediction.drop_vars(["lower", "upper"])
    assert views.interval_of_gene(without, gene, "SIM-007") is None


def test_data_of_figures_hold_all_that_is_drawn(
    prediction: xr.Dataset, predictor: Predictor
) -> None:
    gene = str(prediction["gene"].values[3])
    values = views.log2_of_gene(prediction, gene)
    reference = views.reference_of_gene(predictor.artefact, gene)
    interval = views.interval_of_gene(prediction, gene, "SIM-007")
    data = views.strips_data(values, reference, interval)
    assert data.loc["SIM-007", "Liver"] == values.loc["SIM-007", "Liver"]
    assert data.loc["GTEx donors, 25% quantile", "Liver"] == reference.loc["Liver", 0.25]
    assert interval is not None
    assert data.loc["marked sample, upper", "Lung"] == interval.loc["Lung", "upper"]
    assert len(views.strips_data(values, reference, None)) == len(values) + 7

    z, rho = views.z_of_gene(prediction, gene), pd.Series({"Liver": 0.2, "Lung": 0.4})
    assert views.heatmap_data(z, rho).loc["held-out rho, by fold"].to_dict() == rho.to_dict()
    assert views.heatmap_data(z, None).equals(z)


def test_reference_and_prediction_are_on_one_scale(
    prediction: xr.Dataset, predictor: Predictor
) -> None:
    """The reference median, made linear, is near the mean that z-scores are taken from."""
    artefact = predictor.artefact
    gene = gene_labels(artefact.genes)["TP53"]
    median = views.reference_of_gene(artefact, gene).loc["Lung", 0.5]
    scaler = artefact.method.scaler
    position = artefact.genes.index.get_loc(gene)
    mean = from_scale(scaler.mean[predictor.tissues.index("Lung")], scaler.scale)[position]
    assert median == pytest.approx(np.log2(1 + mean), abs=0.5)
    assert views.log2_of_gene(prediction, gene)["Lung"].median() == pytest.approx(median, abs=1)


def test_distances_are_set_beside_the_references(session: Session, predictor: Predictor) -> None:
    reference = views.reference_distance(predictor.artefact, "Whole Blood")
    assert reference.is_monotonic_increasing
    aligned = session.prepare(predictor).aligned
    summary = views.distance_summary(aligned, reference)
    assert summary.loc["GTEx reference donors", "median"] == reference[0.5]
    assert summary.loc["your samples, after alignment", "median"] == pytest.approx(
        np.median(aligned.distance["distance_after"])
    )


def test_columns_are_ordered_by_rho_with_the_unknown_last() -> None:
    z = pd.DataFrame(np.ones((2, 3)), columns=["A", "B", "C"])
    rho = pd.Series({"A": np.nan, "B": 0.1, "C": 0.5})
    assert views.most_informative(z, rho).columns.tolist() == ["C", "B", "A"]


def test_without_rho_the_columns_that_vary_most_are_selected_in_order(
    rng: np.random.Generator,
) -> None:
    n = views.MOST_COLUMNS + 10
    z = pd.DataFrame(rng.normal(size=(5, n)) * np.arange(n), columns=[f"G{i}" for i in range(n)])
    selected = views.most_informative(z, None).columns
    expected = set(np.argsort(-z.to_numpy().std(axis=0))[: views.MOST_COLUMNS])
    assert selected.tolist() == [f"G{i}" for i in range(n) if i in expected]


def test_rows_carry_the_accuracy_of_their_own_gene_and_tissue(
    prediction: xr.Dataset, evaluated_model: ServedModel
) -> None:
    held_out = GeneAccuracy.of(evaluated_model, "Whole Blood")
    genes = prediction["gene"].values[[5, 2, 40]].tolist()
    rows, _ = views.rows_of(
        prediction,
        held_out,
        tissues=["Liver", "Lung"],
        genes=genes,
        samples=["SIM-003", "SIM-001"],
        predictable_only=False,
    )
    assert len(rows) == 2 * 2 * 3
    assert evaluated_model.evaluation is not None
    known = evaluated_model.evaluation.genes.query("method == 'mtm'")
    known = known.set_index(["tissue", "gene_id"])["rho_pooled"]
    for row in rows.itertuples():
        one = prediction.sel(sample=row.sample, tissue=row.tissue, gene=row.gene_id)
        assert row.z == float(one["z"])
        np.testing.assert_equal(row.rho_pooled, known[row.tissue, row.gene_id])
        assert row.predictable == ("yes" if row.rho_pooled > 0.3 else "no")


def test_without_an_evaluation_no_row_is_called_predictable(prediction: xr.Dataset) -> None:
    nothing = GeneAccuracy(None, "mtm", "Whole Blood")
    options = {
        "tissues": ["Lung"],
        "genes": prediction["gene"].values.tolist(),
        "samples": ["SIM-001"],
    }
    rows, _ = views.rows_of(prediction, nothing, **options, predictable_only=False)
    assert set(rows["predictable"]) == {"not evaluated"}
    assert views.rows_of(prediction, nothing, **options, predictable_only=True)[0].empty


@pytest.mark.parametrize("predictable_only", [False, True])
@pytest.mark.parametrize(("n_genes", "most"), [(59, 100), (59, 10_000), (1, 4), (0, 4)])
def test_rows_are_the_first_of_the_whole_long_table(
    prediction: xr.Dataset,
    evaluated_model: ServedModel,
    predictable_only: bool,
    n_genes: int,
    most: int,
) -> None:
    held_out = GeneAccuracy.of(evaluated_model, "Whole Blood")
    tissues, genes = ["Liver", "Lung"], prediction["gene"].values[:n_genes].tolist()
    samples = prediction["sample"].values[[4, 1, 9]].tolist()
    rows, n_rows = views.rows_of(
        prediction,
        held_out,
        tissues=tissues,
        genes=genes,
        samples=samples,
        predictable_only=predictable_only,
        most=most,
    )
    whole = to_long_table(prediction.sel(sample=samples, tissue=tissues, gene=genes))
    pairs = held_out.of_pairs(whole["tissue"].tolist(), whole["gene_id"].tolist())
    for name in ("rho_by_fold", "rho_pooled", "predictable"):
        whole[name] = pairs[name].to_numpy()
    if predictable_only:
        whole = whole[whole["predictable"] == "yes"].reset_index(drop=True)
    assert n_rows == len(whole)
    assert len(rows) == min(most, len(whole))
    expected = whole.iloc[:most].astype({"sample": str, "tissue": str})
    pd.testing.assert_frame_equal(
        rows.astype({"sample": str, "tissue": str}), expected, check_dtype=False
    )
