from __future__ import annotations

import shlex
from pathlib import Path
from shutil import copyfile

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.enrichment import CORRELATED
from mtm_core.places import SAMPLES
from tests.cli.conftest import Mtm
from tests.cli.conftest import mtm as mtm
from tests.pages.conftest import go_to, rows, words

PAGE = "pages/associations/enrichment.py"
UP = ["SDHD", "VHL", "SDHB", "MSH6"]


def give_sets(app: AppTest, text: bytes, name: str = "own.gmt") -> AppTest:
    app.selectbox(key="gene_sets").set_value("Your own (GMT file)").run()
    app.file_uploader[0].upload(name, text)
    app.run()
    assert not app.exception
    return app


def test_without_samples_the_model_itself_can_be_looked_at(app: AppTest) -> None:
    app.switch_page(PAGE).run()
    assert "No samples yet" in words(app)
    app.segmented_control(key="set_result").set_value("Predictability").run()
    table = rows(app)
    assert (table["size"] >= 10).all()
    assert "genes, all those tested" in words(app)
    assert "out of" not in words(app)


def test_a_planted_set_is_found_in_blood_among_the_users_own(with_example: AppTest) -> None:
    app = go_to(with_example, PAGE)
    app.select_slider(key="set_size").set_value(3).run()
    # The genes that differ between cases and controls of the example, and others that do not.
    text = "planted\t\t" + "\t".join(UP) + "\nother\t\tBRCA1\tBRCA2\tMLH1\tTP53\tMYH7\tPKP2\tLDLR\n"
    give_sets(app, text.encode(), "-own.gmt")
    app.selectbox(key="set_test").set_value("Over-representation").run()
    app.selectbox(key="set_direction").set_value("higher").run()
    table = rows(app).set_index(["tissue", "set"])
    planted = table.loc[("Whole Blood", "planted")]
    assert (planted["overlap"], planted["size"]) == (4, 4)
    assert set(planted["genes"].split(";")) == set(UP)
    assert planted["fdr"] < 0.01
    assert "11 of their 11 genes are in the result" in words(app)
    compared, enriched = (code.value for code in app.code)
    assert compared.startswith("mtm compare ")
    assert "--groups group=case,control" in compared
    assert compared.endswith("--output compared")
    assert "mtm enrich compared/differential_expression.csv --gene-sets ./-own.gmt" in enriched
    assert "--model gtex_v8_acmg59_stack" in enriched
    app.toggle(key="shuffle").set_value(True).run()
    assert "whatever is found here is chance" in words(app)
    app.selectbox(key="set_test").set_value("Pre-ranked (GSEA)").run()
    assert " --shuffle " in app.code[0].value


def test_both_backgrounds_are_reported(with_example: AppTest) -> None:
    app = go_to(with_example, PAGE)
    app.select_slider(key="set_size").set_value(3).run()
    said = words(app)
    assert "predictable genes of 59 tested ones" in said
    assert "against all tested genes it would be" in said
    app.selectbox(key="set_background").set_value("tested").run()
    assert "59 genes, all those tested" in words(app)


def test_a_file_that_is_not_gmt_is_an_error_in_words(with_example: AppTest) -> None:
    app = give_sets(go_to(with_example, PAGE), b"<html>not a set</html>")
    assert "own.gmt: the file is a web page" in app.error[0].value
    app = give_sets(app, b"mouse\t\tTrp53\tnone\tnothing\n", "mouse.gmt")
    assert "genes are among the 59 genes" in words(app)


def test_results_shipped_with_the_model_can_be_tested(app: AppTest) -> None:
    app.switch_page(PAGE).run()
    for result in ("Preserved associations", "Associations in GTEx"):
        app.segmented_control(key="set_result").set_value(result).run()
        app.select_slider(key="set_size").set_value(3).run()
        assert not app.exception
        assert not app.error
        assert rows(app)["tissue"].str.startswith("Adipose").all()
    app.multiselect(key="set_tissues_Associations in GTEx").set_value(["Whole Blood"]).run()
    assert "59 predictable genes of 59 tested ones" in words(app)


def test_the_samples_own_test_shows_what_the_command_writes(
    with_example: AppTest, mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = go_to(with_example, PAGE)
    app.select_slider(key="set_size").set_value(3).run()
    gmt = tmp_path / "own.gmt"
    planted = "\t".join(["planted", "", *UP])
    gmt.write_text(f"{planted}\nother\t\tBRCA1\tBRCA2\tMLH1\tTP53\tMYH7\tPKP2\n")
    app.multiselect(key="set_tissues_Your groups").set_value(["Whole Blood", "Lung"]).run()
    app.selectbox(key="set_test").set_value(CORRELATED).run()
    give_sets(app, gmt.read_bytes())
    assert "differences of the predictions, without their error" in words(app)
    shown = rows(app).sort_values(["tissue", "set"], ignore_index=True)
    command = app.code[0].value
    assert "--gene-sets own.gmt --background predictable --min-size 3" in command
    asked = shlex.split(command)[1:]
    asked[asked.index("--targets") + 1] = "Lung"
    for file in ("blood_tpm.tsv", "metadata.tsv"):
        copyfile(SAMPLES / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    done = mtm(*asked)
    assert done.code == 0, done.err
    written = pd.read_csv("compared/gene_sets.csv")
    written = written.sort_values(["tissue", "set"], ignore_index=True)
    assert set(written["tissue"]) == {"Whole Blood", "Lung"}
    pd.testing.assert_frame_equal(shown[list(written)], written, check_dtype=False, rtol=1e-4)
    app.toggle(key="shuffle").set_value(True).run()
    assert not rows(app)["p"].sort_values().equals(shown["p"].sort_values())
    assert " --shuffle 1 " in app.code[0].value


def test_the_samples_own_test_says_where_there_are_no_samples(app: AppTest) -> None:
    app.switch_page(PAGE).run()
    app.segmented_control(key="set_result").set_value("Predictability").run()
    app.selectbox(key="set_test").set_value(CORRELATED).run()
    assert "needs two groups of your samples" in words(app)
    assert not app.error
