"""Linear models on the screen Differential expression: as the package makes them, or refused."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.differential import LINEAR
from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from mtm_core.inference.options import PredictionOptions
from mtm_core.workflows.compare import CompareOptions, compare_samples
from mtm_core.workflows.compare_designs import DesignOptions
from tests.pages.conftest import go_to, upload, words
from tests.pages.test_differential_page import UP
from tests.pages.test_metadata_page import DIFFERENTIAL, give


def rows(app: AppTest) -> pd.DataFrame:
    """The table of genes, below that of the design."""
    return next(one.value for one in app.dataframe if "gene_id" in one.value)


@pytest.fixture
def screen(with_example: AppTest) -> AppTest:
    go_to(with_example, DIFFERENTIAL)
    return with_example.segmented_control(key="differential_test").set_value(LINEAR).run()


def test_the_tissue_is_less_sure_than_its_prediction_and_blood_is_as_it_is(
    screen: AppTest,
) -> None:
    assert not screen.exception
    tissue = rows(screen)
    blood = tissue[tissue["tissue"] == "Whole Blood"]
    assert set(blood.loc[blood["kind"] == "higher in cases", "gene"]) == UP
    assert np.allclose(blood["p"], blood["p_tissue"])
    predicted = tissue[tissue["tissue"] != "Whole Blood"]
    assert (predicted["p_tissue"] > predicted["p"]).all()
    assert tissue["fdr_tissue"].is_monotonic_increasing
    screen.radio(key="design_question").set_value("the predicted expression").run()
    # The same columns, as the command writes them, whichever question is asked.
    asked = rows(screen)
    assert asked["fdr"].is_monotonic_increasing
    assert set(asked) == set(tissue)
    both = [table.set_index(["tissue", "gene_id"]).sort_index() for table in (tissue, asked)]
    numbers = both[0].select_dtypes("number").columns
    assert {
        "p",
        "fdr",
        "p_tissue",
        "fdr_tissue",
        "statistic",
        "df",
        "standard_error_tissue",
    } <= set(numbers)
    pd.testing.assert_frame_equal(both[0][numbers], both[1][numbers])
    assert "40 samples are used" in words(screen)


def test_all_coefficients_of_a_gene_are_the_files_of_the_command(
    screen: AppTest, tmp_path: Path
) -> None:
    screen.multiselect(key="design_covariates").set_value(["age"]).run()
    screen.toggle(key="design_gene_model").set_value(True).run()
    assert not screen.exception
    shown = next(one.value for one in screen.dataframe if "estimate" in one.value)
    gene = screen.session_state["gene"].split(" ")[0]
    written = compare_samples(
        CompareOptions(
            (EXAMPLE,),
            EXAMPLE_METADATA,
            tmp_path / "out",
            prediction=PredictionOptions(targets=tuple(set(shown["tissue"]) - {"Whole Blood"})),
            linear=DesignOptions("group + age", ("group=case,control",), genes=(gene,)),
        )
    )
    assert written.tables == ("gene_models", "linear_models")
    table = pd.read_csv(tmp_path / "out" / "gene_models.csv")
    by = ["tissue", "coefficient"]
    both = [one.set_index(by)[["estimate", "upper", "p"]].sort_index() for one in (shown, table)]
    pd.testing.assert_frame_equal(*both, rtol=1e-4)
    assert "ordinary least squares; t tests" in words(screen)


def test_covariates_blocks_and_interactions_make_the_command_that_is_shown(
    screen: AppTest,
) -> None:
    screen.multiselect(key="design_covariates").set_value(["age", "sex"]).run()
    assert "Model: group + age + sex; case against control" in words(screen)
    command = shlex.split(screen.code[0].value)
    assert command[command.index("--formula") + 1] == "group + age + sex"
    assert command[command.index("--contrast") + 1] == "group=case,control"
    screen.selectbox(key="design_interaction").set_value("sex").run()
    assert not screen.exception
    assert "interaction of 'group' and 'sex'" in words(screen)
    assert "group:sex" in shlex.split(screen.code[0].value)
    screen.toggle(key="shuffle").set_value(True).run()
    assert "Labels are shuffled** (seed 1)" in screen.warning[0].value
    assert "--shuffle 1" in screen.code[0].value
    screen.selectbox(key="design_interaction").set_value("nothing").run()
    screen.selectbox(key="design_column").set_value("age").run()
    assert "change with age" in words(screen)
    table = rows(screen)
    assert set(table["kind"]) <= {"above 0", "below 0", "not changed", "not predictable"}
    # Each sample against age, with a line of the model's slope.
    figure = screen.get("plotly_chart")[-1].proto.spec
    gene = table[table["gene"] == screen.session_state["gene"]]
    assert len(gene) == 2
    for tissue, slope in zip(gene["tissue"], gene["log2_fold_change"], strict=True):
        assert f"{slope:.4g} per 1\\u003cextra\\u003e{tissue}" in figure


def test_the_bundle_holds_the_model_and_its_command_but_nobodys_row(screen: AppTest) -> None:
    screen.multiselect(key="design_covariates").set_value(["age"]).run()
    command = screen.code[0].value
    screen.switch_page("pages/samples/report.py").run()
    assert "With the linear model group + age" in words(screen)
    screen.button(key="make_bundle").click().run()
    assert not screen.exception
    session = screen.session_state["mtm"]
    (bundle,) = (one for one in session._results.values() if isinstance(one, bytes))
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()
                 if "linear" in name or "comparison" in name or "crate" in name}  # fmt: skip
    model = json.loads(files["linear_model.json"])
    assert model["formula"] == "group + age"
    assert model["metadata"]["columns"] == ["group", "age"]
    assert model["metadata"]["sha256"] == hashlib.sha256(EXAMPLE_METADATA.read_bytes()).hexdigest()
    assert list(model["contrasts"]) == ["group: case against control"]
    assert files["repeat_comparison.sh"].splitlines()[-1] == command
    assert "fitted by a linear model (group + age)" in files["linear_model_methods.txt"]
    assert "SIM-" not in "".join(files.values())
    for name in ("linear_model.json", "repeat_comparison.sh"):
        assert name in files["ro-crate-metadata.json"]
    give(screen, pd.read_csv(EXAMPLE_METADATA, sep="\t").drop(columns="age"))
    screen.switch_page("pages/samples/report.py").run()
    assert "With the linear model" not in words(screen)


def test_columns_that_cannot_be_separated_are_refused_by_name(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")
    people["batch"] = people["group"].map({"case": "x", "control": "y"})
    people["person"] = np.repeat([f"p{i}" for i in range(len(people) // 2)], 2)
    people.loc[0, "age"] = None
    give(app, people)
    go_to(app, DIFFERENTIAL)
    app.segmented_control(key="differential_test").set_value(LINEAR).run()
    app.multiselect(key="design_covariates").set_value(["batch"]).run()
    assert not app.exception
    assert "'batch' follows from 'group' in these 40 samples" in app.error[0].value
    app.multiselect(key="design_covariates").set_value(["age"]).run()
    assert "39 samples are used, 1 left out" in words(app)
    assert "1 of 40 samples lack a value: age (1)" in app.warning[0].value
    app.selectbox(key="design_block").set_value("person").run()
    assert not app.exception
    assert rows(app)["within_block"].abs().max() > 0
    assert "--block person --block-as random" in app.code[0].value
