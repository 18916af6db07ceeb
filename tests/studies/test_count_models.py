"""Counts by a design: as PyDESeq2 does from a formula of its own, and refused in words."""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from pydeseq2.dds import DeseqDataSet
from pydeseq2.default_inference import DefaultInference
from pydeseq2.ds import DeseqStats

from mtm_core.artefact import Artefact
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import MissingLibraryError, SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.studies.count_models import check_counts, compare_counts, rounded_in_words
from mtm_core.studies.design import make_design

N = 10


@pytest.fixture(scope="module")
def known() -> SampleMetadata:
    names = [f"P-{i}" for i in range(N)]
    table = pd.DataFrame(
        {"sample": names, "group": ["case", "control"] * 5, "pair": np.repeat(range(5), 2)}
    )
    data = io.BytesIO(table.to_csv(index=False).encode())
    return read_metadata(data, "people.csv", samples=names)


def test_counts_are_tested_as_pydeseq2_does(
    small_artefact: Artefact, known: SampleMetadata
) -> None:
    rng = np.random.default_rng(0)
    genes = small_artefact.genes.index[:24]
    mean = rng.gamma(2, 300, len(genes)) * np.where(np.arange(N) % 2, 1, 1.6)[:, None]
    counts = pd.DataFrame(
        rng.negative_binomial(8, 8 / (8 + mean)), [f"P-{i}" for i in range(N)], genes
    )
    counts.iloc[:, 0] = 0
    data = io.BytesIO(counts.rename_axis("sample").to_csv().encode())
    predictor = Predictor(small_artefact)
    table = read_expression(data, "counts.csv", known_genes=predictor.genes)
    prepared = predictor.prepare(table, unit="counts")
    design = make_design(known, "group", block="pair", block_as="fixed")
    found = compare_counts(table, prepared, small_artefact.genes["symbol"], design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        people = pd.DataFrame(
            {"group": known.text("group"), "pair": "p" + known.text("pair")}, index=counts.index
        )
        here = DefaultInference(n_cpus=1)  # no processes, which take longer to start than to fit
        peer = DeseqDataSet(
            counts=counts.iloc[:, 1:],
            metadata=people,
            design="~pair + group",
            inference=here,
            quiet=True,
        )
        peer.deseq2()
        stats = DeseqStats(peer, contrast=["group", "case", "control"], inference=here, quiet=True)
        stats.summary()
    own = found.set_index("gene_id")
    assert own["outcome"].iloc[0] == "too few reads"
    assert (own["n"] == N).all()
    expected = stats.results_df.reindex(own.index)
    for ours, theirs in (("log2_fold_change", "log2FoldChange"), ("p", "pvalue"), ("fdr", "padj")):
        np.testing.assert_allclose(own[ours], expected[theirs], rtol=1e-4, atol=1e-6)


def test_one_extreme_count_is_fitted_as_pydeseq2_does_whichever_way_the_contrast(
    small_artefact: Artefact,
) -> None:
    """Replaced outliers depend on the last digits of sums, so on the design's order in memory."""
    n, rng = 20, np.random.default_rng(4)
    people = pd.DataFrame({"sample": [f"P-{i}" for i in range(n)], "group": ["a", "b"] * (n // 2)})
    data = io.BytesIO(people.to_csv(index=False).encode())
    known = read_metadata(data, "people.csv", samples=list(people["sample"]))
    genes = small_artefact.genes.index[:30]
    mean = np.where(np.arange(30) < 15, 400, 2)
    counts = pd.DataFrame(
        rng.negative_binomial(3, 3 / (3 + np.tile(mean, (n, 1)))), people["sample"], genes
    )
    for place, gene in enumerate(genes[5:]):
        counts.loc[f"P-{place % n}", gene] = 200_000
    predictor = Predictor(small_artefact)
    file = io.BytesIO((counts + 0.25).to_csv().encode())
    table = read_expression(file, "counts.csv", known_genes=predictor.genes)
    prepared = predictor.prepare(table, unit="counts")
    found = {}
    for case, control in (("b", "a"), ("a", "b")):
        design = make_design(known, "group", contrasts=[("group", case, control)])
        found[case] = compare_counts(table, prepared, small_artefact.genes["symbol"], design)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            here = DefaultInference(n_cpus=1)
            peer = DeseqDataSet(
                counts=counts,
                metadata=people.set_index("sample"),
                design=f"~C(group, contr.treatment('{control}'))",
                inference=here,
                quiet=True,
            )
            peer.deseq2()
            stats = DeseqStats(peer, contrast=np.array([0.0, 1.0]), inference=here, quiet=True)
            stats.summary()
        own = found[case].set_index("gene_id")
        for ours, theirs in (("log2_fold_change", "log2FoldChange"), ("p", "pvalue")):
            expected = stats.results_df[theirs].reindex(own.index)
            np.testing.assert_allclose(own[ours], expected, rtol=1e-6, atol=1e-9)
    assert found["a"].attrs["n_rounded"] == counts.size
    assert "600 values are no whole numbers and were rounded" in rounded_in_words(found["a"])
    tiny = io.BytesIO((counts / 1e6 + 1e-3).to_csv().encode())
    table = read_expression(tiny, "counts.csv", known_genes=predictor.genes)
    prepared = predictor.prepare(table, unit="counts")
    with pytest.raises(SelectionError, match="no gene has 10 reads in the 20 samples together"):
        compare_counts(table, prepared, small_artefact.genes["symbol"], design)


def test_designs_unsuited_to_counts_are_refused(
    known: SampleMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = make_design(known, "group")
    with pytest.raises(SelectionError, match="read as tpm"):
        check_counts(design, "tpm")
    with pytest.raises(SelectionError, match="no random blocks"):
        check_counts(make_design(known, "group", block="pair"), "counts")
    with pytest.raises(SelectionError, match="one coefficient at a time; 'C\\(pair\\)'"):
        check_counts(make_design(known, "C(pair)"), "counts")
    monkeypatch.setitem(sys.modules, "pydeseq2.dds", None)
    with pytest.raises(MissingLibraryError, match=r"mtm-core\[counts\]"):
        check_counts(design, "counts")


def test_a_model_shows_its_progress_and_can_be_ended(
    small_artefact: Artefact, known: SampleMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtm_core.studies.count_progress.BLOCK", 7)
    rng = np.random.default_rng(1)
    genes = small_artefact.genes.index[:24]
    counts = pd.DataFrame(rng.poisson(200, (N, 24)), [f"P-{i}" for i in range(N)], genes)
    data = io.BytesIO(counts.rename_axis("sample").to_csv().encode())
    predictor = Predictor(small_artefact)
    table = read_expression(data, "counts.csv", known_genes=predictor.genes)
    prepared = predictor.prepare(table, unit="counts")
    symbols = small_artefact.genes["symbol"]
    design = make_design(known, "group")
    seen: list[tuple[int, int]] = []
    found = compare_counts(
        table, prepared, symbols, design, on_progress=lambda *step: seen.append(step)
    )
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert len(shares) > 16
    assert shares[-1] == pytest.approx(1, abs=0.1)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(found, compare_counts(table, prepared, symbols, design))

    def end(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_counts(table, prepared, symbols, design, on_progress=end)
