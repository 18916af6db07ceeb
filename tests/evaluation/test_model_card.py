"""The model card says what the tables say, and nothing if there are none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_places import BUNDLED
from mtm_core.reporting.model_card import FIGURES, render_model_card

TARGETS = ["Lung", "Liver", "Brain - Cortex", "Muscle - Skeletal"]


def tables_of(**figures: dict[str, list[float]]) -> EvaluationTables:
    """Tables of methods, each with its figures by tissue."""
    tissues = [
        pd.DataFrame({"tissue": TARGETS, "n": [46, 42, 34, 50], **values}).assign(method=name)
        for name, values in figures.items()
    ]
    settings = {"folds": 3, "source": "Whole Blood", "cohort_sha256": "0" * 64}
    return EvaluationTables(pd.DataFrame(), pd.concat(tissues), settings)


@pytest.fixture
def evaluation() -> EvaluationTables:
    mtm = {
        "gene_rho_by_fold": [0.1, 0.4, -0.05, 0.2],
        "gene_rho_pooled": [0.08, 0.38, -0.06, 0.19],
        "sample_rho": [0.11, 0.12, 0.13, 0.14],
        "n_predictable": [1.0, 12.0, 0.0, 4.0],
        "mse_ratio": [0.99, 0.85, 1.01, 0.95],
    }
    zeros = {name: [0.0] * 4 for name in mtm}
    return tables_of(mtm=mtm, **{"training-mean": zeros | {"mse_ratio": [1.0] * 4}})


def markdown_tables(card: str) -> list[pd.DataFrame]:
    """The tables of a card, as text."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n?)+", card, flags=re.MULTILINE):
        rows = [line[2:-2].split(" | ") for line in block.strip().splitlines()]
        found.append(pd.DataFrame([rows[0], *rows[2:]][1:], columns=rows[0]).set_index(rows[0][0]))
    return found


def shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.1f}"


def test_figures_are_those_of_the_tables(
    small_artefact: Artefact, evaluation: EvaluationTables
) -> None:
    evaluated = replace(small_artefact, accuracy=evaluation.of_method("mtm"))
    card = render_model_card(evaluated, evaluation)
    overall, by_tissue = markdown_tables(card)

    assert overall.index.tolist() == ["mtm", "training-mean"]
    means = evaluation.tissues.groupby("method")[list(evaluation.tissues.columns[2:-1])].mean()
    for figure in means:
        for method, value in means[figure].items():
            assert overall.loc[method, FIGURES[figure]] == shown(value)

    assert by_tissue.index.tolist() == ["Liver", "Muscle - Skeletal", "Lung", "Brain - Cortex"]
    own = evaluation.tissues.query("method == 'mtm'").set_index("tissue")
    assert by_tissue["donors"].astype(int).to_dict() == own["n"].to_dict()
    for figure in means:
        for tissue, value in own[figure].items():
            assert by_tissue.loc[tissue, FIGURES[figure]] == shown(value)

    assert set(overall.columns) == {FIGURES[figure] for figure in means}  # no figure it lacks
    assert "3-fold cross-validation by donor, from Whole Blood" in card
    assert "averaged over the 4 tissues" in card


def test_the_card_of_a_wide_model_stays_short(
    small_artefact: Artefact, evaluation: EvaluationTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = replace(small_artefact, accuracy=evaluation.of_method("mtm"))
    evaluation.settings.update(resampled_genes=4096, resamples=500)
    long = {"own_genes": list(range(19_291)), "members": [{"weights": [0.5] * 101}]}
    monkeypatch.setattr(type(small_artefact.method), "settings", lambda _: long)
    card = render_model_card(evaluated, evaluation)
    assert "resample the donors 500 times, scored on 4,096 random genes of 40." in card
    assert len(card) < 10_000
    settings = json.loads(card.split("```json\n")[1].split("```")[0])
    assert settings["own_genes"][:100] == list(range(100))
    assert settings["own_genes"][100:] == ["and 19,191 more, see model.json"]
    assert settings["members"][0]["weights"][100:] == ["and 1 more, see model.json"]


def test_without_evaluation_the_card_says_so(small_artefact: Artefact) -> None:
    card = render_model_card(small_artefact, None)
    assert "Not evaluated. Run `mtm evaluate`" in card
    assert markdown_tables(card) == []


def test_card_says_what_the_model_is_and_how_it_was_made(small_artefact: Artefact) -> None:
    card = render_model_card(small_artefact, None)
    n_samples = small_artefact.provenance["n_samples"]
    for fact in (
        "# small",
        "Predicts 40 genes in each of 5 tissues",
        f"{n_samples:,} samples of 60 donors in 5 tissues",
        "expression in TPM",
        small_artefact.provenance["cohort_sha256"],
        "`mtm train small.h5ad`",
        "5 epochs, the weights of epoch 5",
        "For research use, not for diagnosis.",
        "10.1093/bioinformatics/btad363",
    ):
        assert fact in card
    (settings,) = re.findall(r"```json\n(.*?)```", card, flags=re.DOTALL)
    assert json.loads(settings) == json.loads(json.dumps(small_artefact.method.settings()))


@pytest.mark.parametrize("folder", sorted(p.parent for p in BUNDLED.glob("*/model.json")), ids=str)
def test_card_of_a_bundled_model_is_the_one_its_tables_make(folder: Path) -> None:
    artefact = Artefact.load(folder)
    evaluation = EvaluationTables.load(folder / "evaluation")
    overall, together, by_tissue = markdown_tables((folder / "README.md").read_text())
    method, several = artefact.method.name, evaluation.combinations
    for (_, row), sources in zip(
        together.loc[[method]].iterrows(), evaluation.combinations_of(method), strict=True
    ):
        own = several[(several["method"] == method) & (several["sources"] == "; ".join(sources))]
        assert set(re.split(r", | and ", row["from"])) == set(sources)
        assert row["rho together"] == shown(own["gene_rho_by_fold"].mean())
        assert row["most donors"] == str(own["n"].max())
    summary = evaluation.summary()["gene_rho_by_fold_mean"]
    column = FIGURES["gene_rho_by_fold"]
    assert overall[column].to_dict() == {name: f"{v:.3f}" for name, v in summary.items()}
    own = evaluation.tissues[evaluation.tissues["method"] == artefact.method.name]
    expected = own.set_index("tissue")["gene_rho_by_fold"]
    assert by_tissue[column].to_dict() == {name: f"{v:.3f}" for name, v in expected.items()}
    stored = {row["tissue"]: row["gene_rho_by_fold"] for row in artefact.accuracy["tissues"]}
    assert stored == pytest.approx(expected.to_dict(), abs=1e-6)


def test_a_figure_that_one_method_lacks_is_blank(
    small_artefact: Artefact, evaluation: EvaluationTables
) -> None:
    tissues = evaluation.tissues.assign(gene_adjusted_rho_by_fold=0.15)
    tissues["coverage_90"] = [0.8, 0.9, 0.7, 0.85, None, None, None, None]
    tables = replace(evaluation, tissues=tissues)
    card = render_model_card(replace(small_artefact, accuracy=tables.of_method("mtm")), tables)
    overall, by_tissue = markdown_tables(card)
    assert overall[FIGURES["gene_adjusted_rho_by_fold"]].tolist() == ["0.150", "0.150"]
    overall_coverage = (46 * 0.8 + 42 * 0.9 + 34 * 0.7 + 50 * 0.85) / 172
    assert overall[FIGURES["coverage_90"]].tolist() == [f"{overall_coverage:.3f}", ""]
    assert by_tissue.loc["Liver", FIGURES["coverage_90"]] == "0.900"
