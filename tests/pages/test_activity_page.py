"""The screen of activity: scores of a network, their groups, the command that repeats them."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.cli.conftest import Mtm
from tests.cli.conftest import mtm as mtm
from tests.pages.conftest import go_to, rows, words

PAGE = "pages/associations/activity.py"
SAMPLES = Path(__file__).parents[2] / "data_samples"
# Higher and lower in the cases of the example, and five other genes.
NETWORK = "source\ttarget\tweight\n" + "".join(
    f"{source}\t{gene}\t{weight}\n"
    for source, weight, genes in (
        ("changed", 1, ("SDHD", "VHL", "SDHB", "MSH6")),
        ("changed", -1, ("SMAD4", "TSC1", "SDHAF2", "SDHC")),
        ("other", 1, ("BRCA1", "BRCA2", "MLH1", "TP53", "MYH7")),
    )
    for gene in genes
)


def give_network(app: AppTest, text: str) -> AppTest:
    app.selectbox(key="network").set_value("Your own (table or GMT file)").run()
    app.file_uploader[0].upload("own.tsv", text.encode())
    app.run()
    assert not app.exception
    return app


def test_the_command_that_is_shown_makes_what_the_screen_shows(
    with_example: AppTest, mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = go_to(with_example, PAGE)
    assert "of 14 sources have scores" in words(app)
    give_network(app, NETWORK)
    app.select_slider(key="activity_targets").set_value(3).run()
    assert not app.error
    assert "**Whole Blood** (measured): 2 of 2 sources have scores, on 59 measured" in words(app)
    assert "held-out rho of their targets" in words(app)
    table = rows(app).set_index(["tissue", "source"])
    blood = table.loc[("Whole Blood", "changed")]
    assert blood["fdr"] < 0.001
    assert blood["difference"] > 1
    monkeypatch.chdir(tmp_path)
    for name in ("blood_tpm.tsv", "metadata.tsv"):
        shutil.copy(SAMPLES / name, name)
    Path("own.tsv").write_text(NETWORK)
    command = shlex.split(app.code[-1].value)
    command[2], command[command.index("--metadata") + 1] = "blood_tpm.tsv", "metadata.tsv"
    done = mtm(*command[1:])
    assert done.code == 0, done.err
    again = pd.read_csv("activity/differences.csv").set_index(["tissue", "source"])
    for name in ("difference", "p", "n_targets"):
        np.testing.assert_allclose(again[name].reindex(table.index), table[name], rtol=1e-4)


def test_shuffled_labels_and_wrong_networks_are_reported(with_example: AppTest) -> None:
    app = give_network(go_to(with_example, PAGE), NETWORK)
    app.select_slider(key="activity_targets").set_value(3).run()
    app.toggle(key="shuffle").set_value(True).run()
    assert rows(app).set_index(["tissue", "source"]).loc[("Whole Blood", "changed"), "p"] > 0.001
    app.selectbox(key="activity_method").set_value("mlm").run()
    assert not app.error
    give_network(app, NETWORK.replace("\t1\n", "\thigh\n"))
    assert "own.tsv: line 2: the weight is 'high'" in app.error[0].value
    give_network(app, "source,target\nA,Trp53\n")
    assert "0 of its 1 genes are among" in words(app)
