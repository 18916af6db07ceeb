"""Columns of numbers beside the samples: ids, lengths, statistics, sums. Nobody more or less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.layout.annotation_columns import judge_columns
from mtm_core.errors import ExpressionError
from tests.cases import base

N = len(base.genes())
COUNTS = base.counts()
LOG_CPM = np.log2(1 + COUNTS * 1e6 / COUNTS.sum())


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


LENGTH = base.lengths().to_numpy()
COLUMNS: dict[str, object] = {
    "Entrez_Gene_Id": drawn(1).permutation(200_000)[:N],
    "start_position": drawn(2).integers(1, 240_000_000, N),
    "x7": drawn(3).integers(1, 240_000_000, N),  # no name tells
    "width": LENGTH,
    "TxLength": LENGTH * 2,
    "kb": LENGTH / 1000,
    "gc": drawn(4).uniform(0.3, 0.7, N).round(3),
    "percent_gc": drawn(4).uniform(30, 70, N).round(2),
    "strand": drawn(5).choice([-1, 1], N),
    "chromosome": drawn(6).integers(1, 23, N),
    "chromosome_name": [*drawn(6).integers(1, 23, N - 9).astype(str), *["X"] * 8, "MT"],
    "n_transcripts": drawn(7).integers(1, 15, N),
    "flag": drawn(8).integers(0, 2, N),
    "protein_coding": np.ones(N, dtype=int),
    "version": drawn(9).integers(1, 20, N),
    "Unnamed: 0": np.arange(N),
    "level_0": np.sort(drawn(10).permutation(5 * N)[:N]),
    "shuffled_index": drawn(11).permutation(N),
    "baseMean": COUNTS.mean(axis=1).to_numpy().round(3),
    "baseMean_sized": (COUNTS / COUNTS.sum() * COUNTS.sum().mean()).mean(axis=1).to_numpy(),
    "log2FoldChange": drawn(12).normal(0, 1, N).round(4),
    "lfcSE": drawn(13).gamma(2, 0.1, N),
    "pvalue": drawn(14).uniform(0, 1, N),
    "padj": np.where(drawn(15).uniform(0, 1, N) < 0.2, np.nan, drawn(15).uniform(0, 1, N)),
    "total": COUNTS.sum(axis=1).to_numpy(),
    "q1": COUNTS.sum(axis=1).to_numpy(),
    "q2": COUNTS.mean(axis=1).to_numpy().round(2),
    "q3": COUNTS.median(axis=1).to_numpy(),
    "q4": COUNTS.max(axis=1).to_numpy(),
    "q5": COUNTS.min(axis=1).to_numpy(),
    "q6": COUNTS.std(axis=1).to_numpy(),
    "mean_covid": COUNTS.iloc[:, :11].mean(axis=1).to_numpy(),
    "q7": COUNTS.iloc[:, 5:19].sum(axis=1).to_numpy(),
    "n_detected": (COUNTS > 0).sum(axis=1).to_numpy(),
    "at_least_5": (COUNTS >= 5).mean(axis=1).to_numpy(),
    "rank_of_mean": COUNTS.mean(axis=1).rank().to_numpy(),
    "log_of_mean": np.log2(1 + COUNTS.mean(axis=1)).round(4).to_numpy(),
    "z1": drawn(16).normal(0, 1, N),
    "entrezgene_id": np.where(
        drawn(17).uniform(0, 1, N) < 0.1, np.nan, drawn(17).integers(1, 99999, N)
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("place", [0, 24])
def test_column_is_set_aside_and_says_why(name: str, place: int, tmp_path: Path) -> None:
    table = COUNTS.copy()
    table.insert(place, name, COLUMNS[name])
    table.to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    assert read.report.set_aside == (name,)
    assert len(read.report.reasons) == 1
    assert read.report.doubted == ()
    assert repr(name) in str(read.report.notes)
    base.same_z(base.z_of_table(read), base.clean_z(), 0)


@pytest.mark.parametrize("unit", ["counts", "log2", "tpm"])
def test_all_annotation_columns_at_once_are_set_aside(unit: str, tmp_path: Path) -> None:
    """More columns that are not samples than samples."""
    table = {"counts": COUNTS, "log2": LOG_CPM.round(4), "tpm": base.tpm().round(4)}[unit]
    clean = base.z_of_table(table.T.astype(float), unit)  # type: ignore[arg-type]
    reckoned = [name for name in COLUMNS if name[0] in "qbmt" or name.endswith("of_mean")]
    for name, values in COLUMNS.items():
        if unit == "counts" or name not in reckoned:
            table = table.assign(**{name: values})
    table.iloc[:, drawn(1).permutation(table.shape[1])].to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    assert set(read.report.set_aside) == set(table.columns) - set(COUNTS.columns)
    base.same_z(base.z_of_table(read).sort_index(), clean, 1e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_annotation_columns_are_set_aside_beside_few_samples(n: int, tmp_path: Path) -> None:
    table = COUNTS.iloc[:, :n].assign(
        x1=COLUMNS["x7"], x2=LENGTH, x3=COLUMNS["percent_gc"], x4=COLUMNS["shuffled_index"]
    )
    table.to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    assert list(read.values.index) == list(COUNTS.columns[:n])
    assert read.report.set_aside == ("x1", "x2", "x3", "x4")


def test_statistics_beside_log_cpm(tmp_path: Path) -> None:
    table = LOG_CPM.round(4)
    table.insert(0, "logFC", COLUMNS["log2FoldChange"])
    table.insert(1, "AveExpr", LOG_CPM.mean(axis=1).round(5))
    table.insert(2, "average of all", LOG_CPM.mean(axis=1).round(5))
    table.insert(3, "t", drawn(1).normal(0, 2, N))
    table.insert(4, "adj.P.Val", COLUMNS["pvalue"])
    table.insert(5, "B", drawn(2).normal(-4, 2, N))
    table.to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    assert read.report.n_samples == 24
    assert read.report.unit == "log2"


@pytest.mark.parametrize("what", ["low depth", "two low", "odd name", "tissue", "cells"])
def test_unusual_samples_are_not_set_aside(what: str, tmp_path: Path) -> None:
    """A library of few reads, another tissue, sorted cells: unlike the others, but samples."""
    rng, table = drawn(3), COUNTS.copy()
    model = base.predictor()
    panel = model.artefact.genes.index.str.split(".").str[0]
    if what.endswith(("depth", "low", "name")):
        share = COUNTS["PT03"] / COUNTS["PT03"].sum()
        table["PT03"] = rng.poisson(share * (400 if what == "low depth" else 900))
        if what == "two low":
            table["PT09"] = rng.poisson(share * 900)
        if what == "odd name":
            table = table.rename(columns={"PT03": "pool"})
    elif what == "tissue":
        mean = model.artefact.reference.mean[model.tissues.index("Brain - Cortex")]
        other = pd.Series(mean, panel).reindex(table.index).fillna(0) / 3
        table["PT03"] = rng.poisson(other)
    else:
        table["PT03"] = rng.poisson(COUNTS["PT03"] * rng.lognormal(0, 1.2, N))
    table.to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    assert read.report.set_aside == ()
    assert read.report.n_samples == 24


def test_doubtful_sample_is_read_and_named(tmp_path: Path) -> None:
    """Nothing is left of PT03 but noise: it is named, and can be left out."""
    rng = drawn(4)
    table = COUNTS.assign(PT03=rng.permutation(COUNTS["PT03"].to_numpy()))
    table.to_csv(tmp_path / "x.csv")
    report = base.read(tmp_path / "x.csv").report
    assert report.doubted == ("PT03",)
    assert "1 column may not be a sample: 'PT03' (its correlation" in str(report.notes)
    without = base.read(tmp_path / "x.csv", ReadingOptions(leave_out=("PT03",)))
    assert without.report.set_aside == ("PT03",)
    assert without.report.n_samples == 23


def test_sample_under_two_names_is_read_and_named(tmp_path: Path) -> None:
    COUNTS.assign(copy=COUNTS["PT05"]).to_csv(tmp_path / "x.csv")
    report = base.read(tmp_path / "x.csv").report
    assert report.set_aside == ()
    assert report.doubted == ("copy",)
    assert "'copy' (its values are those of 'PT05')" in str(report.notes)


@pytest.mark.parametrize("kind", ["tximport", "RSEM", "no name tells", "lengths"])
def test_counts_are_read_from_tables_with_several_quantities(kind: str, tmp_path: Path) -> None:
    lengths = pd.DataFrame({name: base.lengths() - 150.5 - i for i, name in enumerate(COUNTS)})
    lengths = lengths.clip(lower=20)
    parts = {
        "tximport": [
            base.tpm().add_prefix("abundance."),
            COUNTS.add_prefix("counts."),
            lengths.add_prefix("length."),
        ],
        "RSEM": [
            (base.tpm() * 0.8).add_suffix("_FPKM"),
            COUNTS.add_suffix("_expected_count"),
            (COUNTS * 0.99).add_suffix("_posterior_mean_count"),
        ],
        "no name tells": [
            (COUNTS / COUNTS.sum() * 1e6).add_prefix("k2:"),
            COUNTS.add_prefix("k1:"),
        ],
        "lengths": [lengths.add_prefix("w_"), COUNTS],
    }[kind]
    pd.concat(parts, axis=1).to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv")
    base.same_z(base.z_of_table(read), base.clean_z(), 0)
    assert len(read.report.set_aside) == len(read.report.reasons) == 24 * (len(parts) - 1)


def test_groups_and_visits_are_people_not_quantities(tmp_path: Path) -> None:
    table = COUNTS.set_axis([f"visit{i % 2 + 1}_P{i // 2}" for i in range(24)], axis=1)
    table.to_csv(tmp_path / "x.csv")
    assert base.read(tmp_path / "x.csv").report.set_aside == ()


def test_columns_are_put_back_and_left_out(tmp_path: Path) -> None:
    table = COUNTS.assign(x7=COLUMNS["x7"])
    table.to_csv(tmp_path / "x.csv")
    both = ReadingOptions(take_back=("x7",), leave_out=("PT02", "PT24"))
    read = base.read(tmp_path / "x.csv", both)
    assert list(read.values.index) == [*COUNTS.columns.drop(["PT02", "PT24"]), "x7"]
    assert read.values.loc["x7"].tolist() == list(COLUMNS["x7"])  # type: ignore[call-overload]
    assert dict(zip(read.report.set_aside, read.report.reasons, strict=True)) == {
        "PT02": "you left it out",
        "PT24": "you left it out",
    }
    with pytest.raises(ExpressionError, match=r"--take-back names 'x8', and no column .*'PT01'"):
        base.read(tmp_path / "x.csv", ReadingOptions(take_back=("x8",)))


def test_index_left_behind_in_parquet(tmp_path: Path) -> None:
    table = COUNTS.rename_axis("gene").reset_index()
    table = table.set_axis(np.sort(drawn(5).permutation(3 * N)[:N]), axis=0)
    table.to_parquet(tmp_path / "x.parquet")
    base.same_z(base.z_of(tmp_path / "x.parquet"), base.clean_z(), 0)


def test_bad_cell_in_a_sample_is_an_error_though_most_are_words(tmp_path: Path) -> None:
    table = COUNTS.astype(str)
    table.iloc[: int(N * 0.8), 4] = "n/d"
    table.to_csv(tmp_path / "x.csv")
    with pytest.raises(ExpressionError, match=r"160 cells are not numbers.*'PT05': 'n/d'"):
        base.read(tmp_path / "x.csv")


def test_rows_and_columns_of_totals_and_metadata_are_no_genes(tmp_path: Path) -> None:
    table = LOG_CPM.copy()
    for name, value in {"weight_kg": 70.5, "RNA_ng_ul": 120.0, "visit number": 2}.items():
        table.loc[name] = value
    table.to_csv(tmp_path / "x.csv")
    table.T.to_csv(tmp_path / "y.csv")
    table = COUNTS.copy()
    table.loc["Genes together"] = table.sum()
    table.to_csv(tmp_path / "z.csv")
    table.T.to_csv(tmp_path / "w.csv")
    for name in "xyzw":
        read = base.read(tmp_path / f"{name}.csv")
        assert sorted(read.values.columns) == sorted(COUNTS.index), name
        assert read.report.n_samples == 24


def test_uncorrelated_columns_are_not_judged() -> None:
    """z-scores and ratios go with nothing: what they are is for others to say."""
    ratios = (LOG_CPM.T - LOG_CPM.mean(axis=1)).T
    verdict = judge_columns(ratios.to_numpy(), list(ratios.columns))
    assert verdict.aside == {}


@pytest.mark.parametrize(
    "file",
    [
        "02_biomart_columns/counts_annotated.csv",
        "39_more_annotation/width_gc.csv",
        "32_filtered_index/filtered.parquet",
        "21_sample_names/leading0.csv",
        "22_rows_with_clinic/log2_rows_weight.csv",
        "11_deseq2_plus_counts/edger_logcpm.csv",
    ],
)
def test_real_files(file: str) -> None:
    clean = base.z_of(base.case_file("00_base/counts.csv"))
    found = base.z_of(base.case_file(file))
    tolerance = 1e-3 if "log" in file else 0
    np.testing.assert_allclose(found, clean, atol=tolerance)
    expected = clean.index if "leading0" not in file else [f"{i:03d}" for i in range(1, 25)]
    assert list(found.index) == list(expected)


def test_rows_of_a_data_frame_that_are_no_samples_are_refused() -> None:
    """Who calls from Python has no page to put a column back on."""
    table = COUNTS.assign(gc=COLUMNS["gc"], x7=COLUMNS["x7"]).T
    with pytest.raises(ExpressionError, match=r"2 rows are not samples: 'gc' \(.*'x7' \("):
        base.z_of_table(table.astype(float), "counts")
    base.same_z(base.z_of_table(COUNTS.T.astype(float)), base.clean_z(), 0)


def test_metadata_in_a_stored_table_are_no_genes(tmp_path: Path) -> None:
    table = COUNTS.T.assign(age=50, weight_kg=70.5, total_reads=COUNTS.sum())
    table.rename_axis("sample").to_parquet(tmp_path / "x.parquet")
    stored = open_stored_table(tmp_path / "x.parquet", base.predictor().genes)
    assert stored.genes == tuple(COUNTS.index)
