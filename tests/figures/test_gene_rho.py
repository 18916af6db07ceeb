from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.evaluation.predictability import distribution_of_rho
from mtm_core.figures.accuracy.gene_rho import MOST_POINTS, gene_over_tissues, rho_boxes
from mtm_core.figures.shared.style import OWN_MARK

COLOURS = {"Lung": "#99FF00", "Liver": "#AABB66"}


def drawn(rho: pd.DataFrame, gene_id: str) -> list[object]:
    labels = {gene: gene.lower() for gene in rho.columns}
    return list(rho_boxes(distribution_of_rho(rho), rho, COLOURS, labels, gene_id=gene_id).data)


def test_boxes_are_the_quantiles_of_their_tissue(rng: np.random.Generator) -> None:
    rho = pd.DataFrame(
        rng.normal(size=(2, 30)),
        index=pd.Index(["Liver", "Lung"], name="tissue"),
        columns=[f"G{i}" for i in range(30)],
    )
    liver, lung, points, star = drawn(rho, "G7")
    for box, tissue in ((liver, "Liver"), (lung, "Lung")):
        assert box.name == tissue
        expected = np.quantile(rho.loc[tissue], [0.05, 0.25, 0.5, 0.75, 0.95])
        ends = (box.lowerfence, box.q1, box.median, box.q3, box.upperfence)
        np.testing.assert_allclose(np.ravel(ends), expected)
    assert liver.y[0] > lung.y[0]
    assert liver.fillcolor == "rgba(170, 187, 102, 0.45)"
    found = {tuple(names): x for names, x in zip(points.customdata, points.x, strict=True)}
    assert found == {(g.lower(), t): rho.loc[t, g] for t in rho.index for g in rho.columns}
    for (_, tissue), y in zip(points.customdata, points.y, strict=True):
        assert abs(y - {"Liver": liver.y[0], "Lung": lung.y[0]}[tissue]) < 0.3
    assert star.name == "g7"
    assert list(star.x) == rho["G7"].tolist()
    assert list(star.y) == [liver.y[0], lung.y[0]]


def test_for_a_whole_transcriptome_only_boxes_and_the_chosen_gene_are_drawn() -> None:
    genes = [f"G{i}" for i in range(MOST_POINTS + 1)]
    rho = pd.DataFrame([np.linspace(-1, 1, len(genes))], index=["Liver"], columns=genes)
    assert [trace.type for trace in drawn(rho, "G3")] == ["box", "scatter"]
    assert [trace.type for trace in drawn(rho, "of another cohort")] == ["box"]


def test_a_tissue_without_any_rho_has_no_box() -> None:
    rho = pd.DataFrame([[np.nan, np.nan], [0.1, 0.2]], index=["Liver", "Lung"], columns=["A", "B"])
    boxes = [trace for trace in drawn(rho, "A") if trace.type == "box"]
    assert [box.name for box in boxes] == ["Lung"]


@pytest.fixture
def of_gene() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [300, 90],
            "rho_by_fold": [0.5, 0.1],
            "rho_pooled": [0.45, 0.05],
            "rho_low": [0.4, -0.2],
            "rho_high": [0.5, 0.35],
            "adjusted_rho_by_fold": [0.3, 0.12],
        },
        index=pd.Index(["Lung", "Liver"], name="tissue"),
    )


def test_a_gene_has_its_interval_and_both_rhos_in_each_tissue(of_gene: pd.DataFrame) -> None:
    figure = gene_over_tissues(of_gene, COLOURS, chosen="Liver")
    pooled, by_fold, adjusted = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["Lung", f"{OWN_MARK}<b>Liver</b>"]
    np.testing.assert_allclose(pooled.x - pooled.error_x.arrayminus, of_gene["rho_low"])
    np.testing.assert_allclose(pooled.x + pooled.error_x.array, of_gene["rho_high"])
    assert list(by_fold.x) == [0.5, 0.1]
    assert list(adjusted.x) == [0.3, 0.12]
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    for trace in figure.data:
        assert list(trace.y) == list(figure.layout.yaxis.tickvals)


def test_an_evaluation_of_before_has_neither_interval_nor_adjusted_rho(
    of_gene: pd.DataFrame,
) -> None:
    old = of_gene[["n", "rho_by_fold", "rho_pooled"]]
    figure = gene_over_tissues(old, COLOURS)
    assert [trace.name for trace in figure.data] == ["pooled", "by fold"]
    assert figure.data[0].error_x.array is None
