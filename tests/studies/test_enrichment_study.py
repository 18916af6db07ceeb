from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, norm

from mtm_core.data.gene_sets.gmt import GeneSets, bundled_sets, find_sets
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.studies.enrichment import EnrichmentOptions, enrich
from mtm_core.studies.result_table import ResultTable

N = 600
GENES = [f"ENSG{i:011d}.3" for i in range(N)]
SYMBOLS = [f"MADEUP{i}" for i in range(N)]
SETS = GeneSets.parse(
    "\n".join(
        [
            "planted\tat the top\t" + "\t".join(SYMBOLS[:30]),
            "low\tat the bottom\t" + "\t".join(SYMBOLS[-30:]),
            "even\t\t" + "\t".join(SYMBOLS[::12]),
            "tiny\t\tMADEUP1\tMADEUP2",
        ]
    ).encode(),
    "own",
)


def result(**changes: object) -> pd.DataFrame:
    """A tissue, every other gene predictable; the effect falls from first to last."""
    effect = np.linspace(2, -2, N)
    return pd.DataFrame(
        {
            "tissue": "Lung",
            "gene_id": GENES,
            "gene": SYMBOLS,
            "log2_fold_change": effect,
            "p": 10.0 ** -(3 * np.abs(effect)),
            "fdr": np.where(np.abs(effect) > 1.8, 0.01, 0.5),
            "predictable": np.where(np.arange(N) % 2 == 0, "yes", "no"),
        }
        | changes
    )


def run(table: pd.DataFrame, **options: object):
    read = ResultTable.read(table)
    return enrich(read, SETS.match(read.index), EnrichmentOptions(**options))


def test_the_background_is_the_predictable_genes_and_the_difference_is_counted():
    (part,) = run(result())
    over = part.over_represented.set_index(["set", "direction"])
    # By hand, of the 300 predictable genes.
    found = result().query("fdr <= 0.05 and log2_fold_change > 0 and predictable == 'yes'")
    k, a = len(found), found["gene"].isin(SYMBOLS[:30]).sum()
    assert part.counts["n_background"] == 300
    row = over.loc[("planted", "higher")]
    assert (row["size"], row["overlap"], row["n_selected"]) == (15, a, k)
    p = fisher_exact([[a, 15 - a], [k - a, 300 - 15 - k + a]], alternative="greater").pvalue
    assert row["p"] == pytest.approx(p)
    assert set(row["genes"].split(";")) == set(found["gene"])
    assert ("planted", "lower") not in over.index  # no gene of it
    assert part.counts["n_over_represented_tested"] >= part.counts["n_over_represented"] >= 2
    (wide,) = run(result(), background="tested")
    assert wide.counts["n_background"] == 600
    assert "n_over_represented_tested" not in wide.counts


def test_planted_sets_are_found_at_their_ends_and_an_even_one_is_not():
    (part,) = run(result())
    ranked = part.ranked.set_index("set")
    assert ranked.loc["planted", "direction"] == "higher"
    assert ranked.loc["low", "direction"] == "lower"
    assert (ranked.loc[["planted", "low"], "fdr"] < 0.01).all()
    assert ranked.loc["even", "p"] > 0.2
    assert "tiny" not in ranked.index
    assert ranked.loc["planted", "genes"].startswith("MADEUP0;MADEUP2;")


def test_a_tissue_that_was_measured_is_held_against_all_its_genes():
    (part,) = run(result(predictable="measured"))
    assert part.counts["n_background"] == 600


def test_results_of_other_programs_are_read_by_their_own_columns():
    own = result().drop(columns=["tissue", "predictable"])
    limma = own.drop(columns="gene").rename(
        columns={"log2_fold_change": "logFC", "p": "P.Value", "fdr": "adj.P.Val"}
    )
    limma["gene_id"] = SYMBOLS
    a = run(own, background="tested")[0].ranked
    b = run(limma, background="tested")[0].ranked
    pd.testing.assert_frame_equal(a, b)
    with pytest.raises(SelectionError, match="--background tested"):
        run(own)


def linear_models() -> pd.DataFrame:
    """Two contrasts; allowing for prediction error, the second half of the genes is tested anew."""
    table = result(contrast="group=case,control", fdr=0.01)
    other = np.where(np.arange(N) < 300, 0.01, 0.9)
    one = table.assign(p_tissue=table["p"] ** 0.5, fdr_tissue=other)
    return pd.concat([one, one.assign(contrast="age", fdr=0.9, fdr_tissue=0.9)])


def test_linear_models_are_read_by_the_test_that_allows_for_prediction_error():
    first, second = run(linear_models())
    assert first.labels == {"contrast": "group=case,control", "tissue": "Lung"}
    # By hand: genes at fdr_tissue 0.01, of which every other is predictable.
    assert (first.counts["n_selected"], second.counts["n_selected"]) == (150, 0)
    read = ResultTable.read(linear_models())
    assert read.ranked_by == "z of p_tissue, with the sign of log2_fold_change"
    z = norm.isf(np.sqrt(linear_models()["p"]) / 2) * np.sign(linear_models()["log2_fold_change"])
    np.testing.assert_allclose(read.rows["score"], z)
    predictions = ResultTable.read(linear_models(), question="prediction")
    assert predictions.ranked_by.startswith("z of p, ")
    parts = enrich(predictions, SETS.match(predictions.index))
    assert [part.counts["n_selected"] for part in parts] == [300, 0]


def test_linear_models_without_intervals_have_no_test_of_the_tissue():
    measured = result(tissue="Whole Blood", predictable="measured")
    measured = measured.assign(p_tissue=measured["p"], fdr_tissue=measured["fdr"])
    table = pd.concat([measured, result(p_tissue=np.nan, fdr_tissue=np.nan)])
    with pytest.raises(SelectionError, match=r"in Lung no gene .*--question prediction"):
        ResultTable.read(table)
    assert len(ResultTable.read(table, question="prediction").rows) == 2 * N
    assert ResultTable.read(measured).rows["score"].notna().all()


def test_preserved_associations_count_where_both_lists_agree():
    signs = np.where(np.arange(N) < 10, -1, 1)  # the first ten are turned in the predictions
    table = pd.DataFrame(
        {
            "trait": "age",
            "adjusted_for": np.nan,
            "tissue": "Lung",
            "gene_id": GENES,
            "rho_predicted": np.linspace(0.8, -0.8, N) * signs,
            "fdr_predicted": 0.01,
            "rho_observed": np.linspace(0.5, -0.5, N),
            "fdr_observed": np.where(np.arange(N) < 40, 0.01, 0.6),
        }
    )
    read = ResultTable.read(table.assign(gene=SYMBOLS))
    (part,) = enrich(read, SETS.match(read.index))
    assert part.labels == {"trait": "age", "adjusted_for": "", "tissue": "Lung"}
    row = part.over_represented.set_index(["set", "direction"]).loc[("planted", "higher")]
    assert (row["overlap"], row["n_selected"]) == (20, 30)
    assert (read.rows["score"].iloc[:10] == 0).all()


def test_predictable_genes_themselves_are_held_against_all_evaluated_ones():
    table = pd.DataFrame(
        {
            "tissue": "Lung",
            "gene_id": GENES,
            "gene": SYMBOLS,
            "method": "stack",
            "rho_by_fold": np.linspace(0.7, 0.0, N),
            "rho_pooled": np.linspace(0.7, 0.0, N),
        }
    )
    (part,) = run(table)
    assert part.counts["n_background"] == 600
    assert part.over_represented["direction"].unique().tolist() == ["either"]
    assert part.ranked.set_index("set").loc["planted", "nes"] > 2


def test_a_gene_with_two_rows_is_refused():
    table = pd.concat([result(), result().iloc[:1]])
    with pytest.raises(SelectionError, match=r"'ENSG00000000000\.3' has several rows of Lung"):
        run(table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"only a name\n", "line 1 is 'only a name'"),
        (b"a\t\tTP53\nb\t\tTP53\na\t\tBRCA1\n", "two sets are called 'a' \\(line 3"),
        (b"%PDF-1.4\n", "a PDF"),
        (b"a\t\t\n", "no set has a gene"),
        (b"\x1f\x8b\x08\x00broken", "gzip file"),
    ],
)
def test_a_file_that_is_not_gmt_is_refused(text: bytes, words: str):
    with pytest.raises(InputFileError, match=words):
        GeneSets.parse(text, "own.gmt")


def test_sets_of_another_species_are_refused():
    sets = GeneSets.parse(
        b"a\t\t" + b"\t".join(b"ENSMUSG%011d" % i for i in range(50)), "mouse.gmt"
    )
    with pytest.raises(InputFileError, match=r"0 of its 50 genes .* another species"):
        sets.match(GeneIndex(pd.DataFrame({"symbol": SYMBOLS, "entrez": ""}, index=GENES)))


def test_symbols_and_earlier_names_reach_the_models_ensembl_ids():
    genes = pd.DataFrame(
        {"symbol": ["TP53", "MARCHF1", "BRCA1"], "entrez": ["7157", "55016", "672"]},
        index=["ENSG00000141510.16", "ENSG00000145416.1", "ENSG00000012048.2"],
    )
    sets = GeneSets.parse(b"a\t\tTP53\t55016\tENSG00000012048\nb\t\tMARCH1\n", "mixed")
    matched = sets.match(GeneIndex(genes))
    assert matched.members.tolist() == [0, 1, 2]
    assert (matched.n_found, matched.n_genes, matched.n_covered) == (3, 4, 3)
    alone = GeneSets.parse(b"b\t\tMARCH1\n", "earlier name").match(GeneIndex(genes))
    assert alone.members.tolist() == [1]


def test_the_bundled_sets_are_the_ontologys():
    sets = bundled_sets("go_biological_process")
    members = dict(zip(sets.sets, sets.members, strict=True))
    oxygen = members["oxygen transport (GO:0015671)"]
    assert {"HBA1", "HBB", "MB"} <= set(oxygen)
    # A gene of a term is a gene of the term above: gas transport.
    assert set(oxygen) <= set(members["gas transport (GO:0015669)"])
    with pytest.raises(SelectionError, match="go_biological_process"):
        find_sets("hallmark")


def test_a_gene_of_a_pathway_of_reactome_is_one_of_the_pathways_above():
    sets = find_sets("reactome")
    members = dict(zip(sets.sets, map(set, sets.members), strict=True))
    interferon = members["Interferon Signaling (R-HSA-913531)"]
    for name, known in {
        "Interferon alpha/beta signaling (R-HSA-909733)": {"IFNAR1", "STAT1", "ISG15", "MX1"},
        "Interferon gamma signaling (R-HSA-877300)": {"IFNGR1", "JAK2", "GBP1", "HLA-DRA"},
    }.items():
        assert known <= members[name] < interferon
    sizes = {len(genes) for genes in members.values()}
    assert (min(sizes), max(sizes)) == (5, 478)
    assert len(sets) == 2028
    assert len(sets.genes) > 10_000


def test_a_value_that_is_no_number_is_refused_not_left_out() -> None:
    """R and spreadsheets write the smallest p as text: without these nothing would be found."""
    p = result()["p"].astype(object)
    p[:20] = "< 1e-5"
    with pytest.raises(SelectionError, match=r"'p' has 20 values that are not numbers.*'< 1e-5'"):
        ResultTable.read(result(p=p))
    p[:20] = "NA"
    (part,) = run(result(p=p))
    assert part.counts["n_tested"] == N - 20


def test_each_contrast_has_tests_of_its_own_and_an_f_test_no_direction() -> None:
    one = result(contrast="group: a against b", standard_error=0.1)
    several = result(
        contrast="group", standard_error=np.nan, log2_fold_change=np.linspace(-2, 2, N)
    )
    parts = run(pd.concat([one, several]))
    (alone,) = run(one)
    assert [part.labels["contrast"] for part in parts] == ["group: a against b", "group"]
    pd.testing.assert_frame_equal(parts[0].ranked, alone.ranked)
    assert set(parts[1].over_represented["direction"]) == {"either"}
    assert set(parts[1].ranked["direction"]) == {"either"}
    # Both ends of the effect are evidence, so that both sets lie at the top.
    es = parts[1].ranked.set_index("set")["es"]
    assert es["planted"] > 0.8
    assert es["low"] > 0.8


def test_a_result_by_entrez_ids_is_refused_with_the_reason() -> None:
    """Only the genes of a model have other names than the table's own."""
    entrez = [str(1000 + i) for i in range(N)]
    table = ResultTable.read(result(gene_id=entrez, gene=entrez))
    with pytest.raises(InputFileError, match="Most genes of the result are Entrez ids") as refused:
        SETS.match(table.index)
    assert "symbols or Ensembl ids" in str(refused.value)
    own = GeneSets.parse(("own\t\t" + "\t".join(entrez[:60])).encode(), "own")
    assert own.match(table.index).n_found == 60
