from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.associations.volcano import SMALLEST_FDR, genes_within, n_counted, volcano

N = 60


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    """Two tissues; genes 0 and 1 higher, 2 lower, 3 not predictable, 4 with an FDR of 0."""
    parts = []
    for tissue, origin in (("Lung", "predicted"), ("Whole Blood", "measured")):
        fdr = rng.uniform(0.2, 1, N)
        fdr[:5] = [0.001, 0.01, 0.0001, 0.001, 0.0]
        change = rng.normal(0, 0.05, N)
        change[:5] = [1, 0.5, -1, 2, 1.5]
        kind = np.full(N, "not changed", dtype=object)
        kind[:5] = [
            *("higher in cases", "higher in cases", "lower in cases", "not predictable"),
            "higher in cases",
        ]
        parts.append(
            pd.DataFrame(
                {
                    "tissue": tissue,
                    "origin": origin,
                    "gene_id": [f"ENSG{i}" for i in range(N)],
                    "gene": [f"G{i}" for i in range(N)],
                    "log2_fold_change": change,
                    "fdr": fdr,
                    "kind": kind,
                    "rho_by_fold": 0.4,
                    "predictable": "yes",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def points(figure: go.Figure, name: str, axis: str) -> go.Scatter:
    (trace,) = [t for t in figure.data if t.name == name and (t.xaxis or "x") == axis]
    return trace


def texts(figure: go.Figure, axis: str) -> list[str]:
    named = [t for t in figure.data if t.mode == "markers+text" and (t.xaxis or "x") == axis]
    return [text for trace in named for text in trace.text]


def test_every_gene_is_one_point_of_its_tissue_with_its_id(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=0)
    for axis, tissue in (("x", "Lung"), ("x2", "Whole Blood")):
        part = table[table["tissue"] == tissue].set_index("gene_id")
        seen = {}
        for trace in figure.data:
            if (trace.xaxis or "x") == axis:
                for x, y, data in zip(trace.x, trace.y, trace.customdata, strict=True):
                    seen[data] = (x, y)
        assert set(seen) == set(part.index)
        for gene, (x, y) in seen.items():
            assert x == pytest.approx(part.loc[gene, "log2_fold_change"], rel=1e-6)
            assert y == pytest.approx(-np.log10(max(part.loc[gene, "fdr"], SMALLEST_FDR)))
    assert points(figure, "lower in cases", "x").customdata[0] == "ENSG2"
    assert points(figure, "not predictable", "x2").customdata[0] == "ENSG3"
    assert points(figure, "not predictable", "x").text[0] == "G3, held-out rho 0.40"
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["Lung (predicted)", "Whole Blood (measured)"]


def test_an_fdr_of_zero_is_drawn_at_the_end(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=0)
    heights = np.concatenate([np.asarray(trace.y, dtype=float) for trace in figure.data])
    assert np.isfinite(heights).all()
    assert heights.max() == 300


def test_only_changed_genes_are_named_the_surest_first(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=3)
    assert texts(figure, "x") == ["G4", "G2", "G0"]
    assert texts(volcano(table, fold_change=0.2, fdr=0.05, n_labels=30), "x") == [
        *("G4", "G2", "G0", "G1"),
    ]


def test_a_marked_gene_is_ringed_and_named_once_in_every_panel(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=2, marked=["ENSG4", "ENSG9"])
    for axis in ("x", "x2"):
        assert texts(figure, axis) == ["G2", "G4", "G9"]
        ringed = [t for t in figure.data if t.marker.symbol == "circle-open" and t.text is not None]
        assert any(list(t.text) == ["G4", "G9"] for t in ringed)


def test_names_of_neighbours_lie_on_different_sides(table: pd.DataFrame) -> None:
    """Two points side by side, one over the other, and one that is ringed beside them."""
    lung = table[table["tissue"] == "Lung"].copy()
    lung.loc[[0, 1, 4], "log2_fold_change"] = [0.90, 1.0, 0.91]
    lung.loc[[0, 1, 4], "fdr"] = [1e-10, 1e-10, 2e-10]
    lung.loc[[0, 1, 4], "gene"] = ["SMAD4", "TSC1", "SDHAF2"]
    figure = volcano(lung, fold_change=0.2, fdr=0.05, n_labels=8, marked=["ENSG4"])
    sides = {
        text: side
        for trace in figure.data
        if trace.mode == "markers+text"
        for text, side in zip(trace.text, trace.textposition, strict=True)
    }
    assert len({sides[name] for name in ("SMAD4", "TSC1", "SDHAF2")}) == 3
    assert sides["SMAD4"].endswith("left")
    assert sides["TSC1"].endswith("right")


def test_legend_names_each_kind_once(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=0)
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == sorted(set(table["kind"]))


def test_many_genes_are_drawn_by_webgl(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 60, ignore_index=True)
    figure = volcano(many, fold_change=0.2, fdr=0.05, n_labels=0)
    assert {trace.type for trace in figure.data} == {"scattergl"}
    assert len(figure.to_json()) < 60 * len(many)


@pytest.mark.parametrize("n_tissues", [1, 3, 5])
def test_any_number_of_tissues_has_a_panel_each(table: pd.DataFrame, n_tissues: int) -> None:
    lung = table[table["tissue"] == "Lung"]
    parts = [lung.assign(tissue=f"T{i}") for i in range(n_tissues)]
    figure = volcano(pd.concat(parts, ignore_index=True), fold_change=0, fdr=0.05, n_labels=1)
    assert [a.text for a in figure.layout.annotations] == [
        f"T{i} (predicted)" for i in range(n_tissues)
    ]


def test_every_trace_names_its_genes_for_selection(table: pd.DataFrame) -> None:
    figure = volcano(table, fold_change=0.2, fdr=0.05, n_labels=3, marked=["ENSG9"])
    for trace in figure.data:
        assert len(trace.customdata) == len(trace.x)
        assert {data[:4] for data in trace.customdata} == {"ENSG"}


@pytest.fixture
def wide(rng: np.random.Generator) -> pd.DataFrame:
    """One tissue of 20,000 genes, of which 300 changed."""
    n = 20_000
    kind = np.full(n, "not changed", dtype=object)
    kind[:300] = "higher in cases"
    fdr = rng.uniform(0.1, 1, n)
    fdr[:300] = 10.0 ** -rng.uniform(2, 9, 300)
    return pd.DataFrame(
        {
            "tissue": "Lung",
            "origin": "predicted",
            "gene_id": [f"ENSG{i}" for i in range(n)],
            "gene": [f"G{i}" for i in range(n)],
            "log2_fold_change": rng.normal(0, 0.3, n),
            "fdr": fdr,
            "kind": kind,
            "rho_by_fold": 0.4,
            "predictable": "yes",
        }
    )


def test_with_many_genes_changed_ones_are_points_and_the_rest_is_counted(
    wide: pd.DataFrame,
) -> None:
    figure = volcano(wide, fold_change=0.2, fdr=0.05, n_labels=0)
    (cells,) = [trace for trace in figure.data if trace.type == "heatmap"]
    assert set(points(figure, "higher in cases", "x").customdata) == set(wide["gene_id"][:300])
    assert cells.customdata.sum() == n_counted(wide) == 19_700
    assert len(figure.to_json()) < 150_000
    x, y = (np.asarray(axis) for axis in (cells.x, cells.y))
    counted = wide[300:]
    column = np.abs(np.subtract.outer(counted["log2_fold_change"].to_numpy(), x)).argmin(axis=1)
    row = np.abs(np.subtract.outer(-np.log10(counted["fdr"].to_numpy()), y)).argmin(axis=1)
    by_hand = np.zeros(cells.customdata.shape, dtype=int)
    np.add.at(by_hand, (row, column), 1)
    assert np.abs(by_hand - cells.customdata).sum() < 20  # a few lie on an edge in single precision


def test_a_changed_gene_beyond_what_a_panel_draws_is_counted(wide: pd.DataFrame) -> None:
    many = wide.assign(kind="lower in cases")
    figure = volcano(many, fold_change=0.2, fdr=0.05, n_labels=0)
    drawn = points(figure, "lower in cases", "x").customdata
    assert set(drawn) == set(many.nsmallest(8_000, "fdr")["gene_id"])
    assert n_counted(many) == 12_000


def test_a_selection_finds_genes_that_are_drawn_and_those_that_are_counted(
    wide: pd.DataFrame,
) -> None:
    height = -np.log10(wide["fdr"])
    right = (wide["log2_fold_change"] >= 0.4) & (height <= 3)
    box = {"xref": "x", "yref": "y", "x": [2.0, 0.4], "y": [3.0, -1.0]}
    found = genes_within(wide, {"box": [box], "lasso": []})
    assert set(found) == set(wide.loc[right, "gene_id"])
    assert 0 < sum(int(gene[4:]) < 300 for gene in found) < len(found)
    corners = {"x": [0.4, 2.0, 2.0, 0.4], "y": [-1.0, -1.0, 3.0, 3.0]}
    assert genes_within(wide, {"lasso": [{"xref": "x", "yref": "y", **corners}]}) == found
    triangle = {"xref": "x", "yref": "y", "x": [0.0, 2.0, 0.0], "y": [0.0, 0.0, 2.0]}
    inside = (wide["log2_fold_change"] > 0) & (wide["log2_fold_change"] + height < 2)
    found = genes_within(wide, {"lasso": [triangle]})
    assert set(found) == set(wide.loc[inside, "gene_id"])


def test_a_selection_is_of_its_own_panel(table: pd.DataFrame) -> None:
    everywhere = {"x": [-9.0, 9.0], "y": [-1.0, 400.0]}
    changed = table.copy()
    changed.loc[changed["tissue"] == "Lung", "gene_id"] += "_lung"
    assert genes_within(changed, {"box": [{"xref": "x", "yref": "y", **everywhere}]}) == [
        f"ENSG{i}_lung" for i in range(N)
    ]
    assert genes_within(changed, {"box": [{"xref": "x2", "yref": "y2", **everywhere}]}) == [
        f"ENSG{i}" for i in range(N)
    ]


@pytest.mark.parametrize("fold_change", [0.0, 0.2])
def test_each_panel_has_its_thresholds_as_lines(table: pd.DataFrame, fold_change: float) -> None:
    figure = volcano(table, fold_change=fold_change, fdr=0.05, n_labels=0)
    for x, y in (("x", "y"), ("x2", "y2")):
        upright = [line for line in figure.layout.shapes if line.xref == x]
        assert {line.x0 for line in upright} == {-fold_change, fold_change}
        assert all(line.x0 == line.x1 and line.yref == f"{y} domain" for line in upright)
        (level,) = [line for line in figure.layout.shapes if line.yref == y]
        assert level.y0 == level.y1 == pytest.approx(-np.log10(0.05))
        assert (level.xref, level.x0, level.x1) == (f"{x} domain", 0, 1)
