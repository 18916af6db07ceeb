from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.grouped_writing import save_grouped

SYMBOLS = [f"MADEUP{i}" for i in range(300)]


def table(**columns: object) -> pd.DataFrame:
    effect = np.linspace(2, -2, 300)
    return pd.DataFrame(
        {
            "tissue": np.repeat(["Lung", "Liver"], 300),
            "gene_id": SYMBOLS * 2,
            "log2_fold_change": np.concatenate([effect, effect[::-1]]),
            "p": np.tile(10.0 ** -(3 * np.abs(effect)), 2),
            "fdr": np.tile(np.where(np.abs(effect) > 1.6, 0.01, 0.5), 2),
            "predictable": np.tile(["yes", "yes", "no"], 200),
        }
        | columns
    )


def gmt(folder: Path) -> Path:
    path = folder / "own.gmt"
    path.write_text("first\t\t" + "\t".join(SYMBOLS[:24]) + "\n")
    return path


def test_a_table_becomes_tables_of_sets_by_tissue(mtm, tmp_path: Path) -> None:
    table().to_csv(tmp_path / "compared.csv", index=False)
    done = mtm(
        *("enrich", tmp_path / "compared.csv", "--gene-sets", gmt(tmp_path)),
        *("--output", tmp_path / "enriched", "--permutations", 200),
    )
    assert done.code == 0, done.err
    assert "24 of their 24 genes are in the result" in done.err
    assert "predictable genes, 200 of 300 tested ones" in done.err
    assert "with every tested gene as background it would be" in done.err
    over = pd.read_csv(tmp_path / "enriched" / "over_representation.csv")
    ranked = pd.read_csv(tmp_path / "enriched" / "preranked.csv")
    summary = pd.read_csv(tmp_path / "enriched" / "summary.csv")
    assert ranked.set_index("tissue")["direction"].to_dict() == {"Lung": "higher", "Liver": "lower"}
    assert (over["fdr"] < 0.05).any()
    assert summary["n_background"].tolist() == [200, 200]
    settings = json.loads((tmp_path / "enriched" / "settings.json").read_text())
    assert settings["background"] == "predictable"
    again = mtm(
        *("enrich", tmp_path / "compared.csv", "--output", tmp_path / "enriched"),
    )
    assert again.code == 1
    assert "--overwrite" in again.err


def test_rs_row_names_and_semicolons_are_read(mtm, tmp_path: Path) -> None:
    own = table().iloc[:300].set_index("gene_id")[["log2_fold_change", "p", "fdr"]]
    own.columns = ["logFC", "P.Value", "adj.P.Val"]
    own.rename_axis(None).to_csv(tmp_path / "limma.csv", sep=";")
    own.to_csv(tmp_path / "limma.txt", sep="\t", index_label=False)
    own.to_csv(tmp_path / "comma.csv", sep=";", decimal=",")
    results = []
    for name in ("limma.csv", "limma.txt", "comma.csv"):
        output = tmp_path / name.replace(".", "_")
        done = mtm(
            *("enrich", tmp_path / name, "--gene-sets", gmt(tmp_path), "--output", output),
            *("--background", "tested", "--tests", "pre-ranked", "--permutations", 200),
        )
        assert done.code == 0, done.err
        assert not (output / "over_representation.csv").exists()
        results.append(pd.read_csv(output / "preranked.csv"))
    pd.testing.assert_frame_equal(*results[:2])
    pd.testing.assert_frame_equal(*results[1:])
    assert results[0]["n_background"].tolist() == [300]


def test_a_table_in_groups_is_read_a_trait_at_a_time(mtm, tmp_path: Path) -> None:
    both = pd.concat([table(trait="age", adjusted_for=""), table(trait="sex", adjusted_for="")])
    save_grouped(both, tmp_path / "genes.parquet", ("trait", "adjusted_for", "tissue"))
    done = mtm(
        *("enrich", tmp_path / "genes.parquet", "--gene-sets", gmt(tmp_path)),
        *("--output", tmp_path / "enriched", "--format", "parquet", "--permutations", 200),
        *("--tissues", "Lung"),
    )
    assert done.code == 0, done.err
    ranked = pd.read_parquet(tmp_path / "enriched" / "preranked.parquet")
    assert set(ranked["trait"]) == {"age", "sex"}
    assert set(ranked["tissue"]) == {"Lung"}


def test_untestable_input_is_a_one_line_error(mtm, tmp_path: Path) -> None:
    table().to_csv(tmp_path / "compared.csv", index=False)
    table()[["gene_id", "tissue"]].to_csv(tmp_path / "bare.csv", index=False)
    (tmp_path / "words.csv").write_text("nothing\nat all\n")
    (tmp_path / "no.gmt").write_text("a\tb\n")
    out = ["--output", tmp_path / "enriched"]
    own = ["--gene-sets", gmt(tmp_path)]
    for arguments, words in (
        (["absent.csv", *out], "there is no such file"),
        ([tmp_path / "bare.csv", *own, *out], "Name the column to rank by (--rank-by)"),
        ([tmp_path / "words.csv", *own, *out], "its first line has one column"),
        ([tmp_path / "compared.csv", "--gene-sets", tmp_path / "no.gmt", *out], "Expected GMT"),
        (
            [tmp_path / "compared.csv", "--gene-sets", "hallmark", *out],
            "unknown gene sets: 'hallmark'",
        ),
        ([tmp_path / "compared.csv", *own, *out, "--min-size", 290], "200 genes at most"),
        ([tmp_path / "compared.csv", *own, *out, "--tissues", "Brain"], "'Brain'"),
        ([tmp_path / "compared.csv", *own, *out, "--fdr", 0], "above 0"),
        ([tmp_path / "compared.csv", *out], "genes are among the 300 genes of the result"),
    ):
        done = mtm("enrich", *arguments)
        assert done.code == 1
        assert words in done.err, done.err
        assert done.err.count("mtm: error:") == 1
        assert "Traceback" not in done.err
        assert not (tmp_path / "enriched").exists()


def test_linear_models_are_tested_by_contrast_and_question(mtm, tmp_path: Path) -> None:
    one = table(contrast="group=case,control", p_tissue=0.5, fdr_tissue=0.9)
    pd.concat([one, one.assign(contrast="age")]).to_csv(tmp_path / "linear_models.csv", index=False)
    given = ("enrich", tmp_path / "linear_models.csv", "--gene-sets", gmt(tmp_path))
    fast = ("--tests", "over-representation", "--format", "csv")
    done = mtm(
        *(*given, *fast, "--contrasts", '"group=case,control"', "--output", tmp_path / "tissue")
    )
    assert done.code == 0, done.err
    assert "tests of the tissue's expression, allowing for prediction error" in done.err
    summary = pd.read_csv(tmp_path / "tissue" / "summary.csv")
    assert summary["contrast"].tolist() == ["group=case,control"] * 2
    assert (summary["n_selected"] == 0).all()
    done = mtm(*given, *fast, "--question", "prediction", "--output", tmp_path / "prediction")
    assert "tests of predicted expression, not allowing for its error" in done.err
    summary = pd.read_csv(tmp_path / "prediction" / "summary.csv")
    assert len(summary) == 4
    assert (summary["n_selected"] > 0).all()
    settings = json.loads((tmp_path / "prediction" / "settings.json").read_text())
    assert settings["question"] == "prediction"


def test_cells_of_the_summary_are_not_formulas(mtm, tmp_path: Path) -> None:
    table(tissue="=1+1").iloc[:300].to_csv(tmp_path / "compared.csv", index=False)
    done = mtm(
        *("enrich", tmp_path / "compared.csv", "--gene-sets", gmt(tmp_path)),
        *("--output", tmp_path / "enriched", "--tests", "over-representation"),
    )
    assert done.code == 0, done.err
    for name in ("over_representation.csv", "summary.csv"):
        assert set(pd.read_csv(tmp_path / "enriched" / name)["tissue"]) == {"'=1+1"}
