from __future__ import annotations

from streamlit.testing.v1 import AppTest

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
    give_sets(app, text.encode())
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
    assert "mtm enrich compared/differential_expression.csv --gene-sets own.gmt" in enriched
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
