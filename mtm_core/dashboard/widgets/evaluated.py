"""Shared parts of the pages on accuracy: the model's evaluation, and comparisons in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.escaping import plain, plain_message
from mtm_core.evaluation.combinations import RHO_ALONE
from mtm_core.evaluation.comparison import RankCorrelation
from mtm_core.evaluation.predictability import RHO_FIGURES
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.evaluation.standings import standings
from mtm_core.figures.shared.style import NEUTRAL
from mtm_core.inference.together import explain_sources
from mtm_core.reporting.methods_text import adjusted_for

COMPOSITION_ADJUSTED = "gene_rho_adjusted_for_composition"
PREDICTABILITY_PAGE = "pages/model/predictability.py"
METHODS_PAGE = "pages/model/methods.py"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation with the names that its tables do not hold.

    Attributes
    ----------
    tables
        The evaluation.
    methods
        Methods evaluated: the model's own first, then in the order they were run.
    tissues
        Tissues predicted, by alphabet.
    genes
        Genes evaluated.
    colours, abbreviations
        GTEx's colour and abbreviation of each tissue.
    """

    tables: EvaluationTables
    methods: list[str]
    tissues: list[str]
    genes: GeneNames
    colours: dict[str, str]
    abbreviations: dict[str, str]

    @classmethod
    def of(cls, model: ServedModel, tables: EvaluationTables) -> Evaluated:
        """Join the names that ``model`` knows; what it does not know keeps its id and no colour."""
        artefact = model.predictor.artefact
        run = [str(name) for name in tables.tissues["method"].unique()]
        genes = model.genes
        if not tables.gene_ids.equals(artefact.genes.index):
            known = artefact.genes[["symbol", "entrez"]].reindex(tables.gene_ids).fillna("")
            genes = GeneNames.of(known)
        tissues = sorted(str(name) for name in tables.tissues["tissue"].unique())
        looks = artefact.tissues.reindex(tissues)
        return cls(
            tables,
            sorted(run, key=lambda name: name != artefact.method.name),
            tissues,
            genes,
            looks["colour"].fillna(NEUTRAL).to_dict(),
            looks["abbreviation"].fillna("").to_dict(),
        )

    @property
    def setting(self) -> str:
        """How it was evaluated, in a line."""
        settings = self.tables.settings
        further = [str(name) for name in settings.get("further_sources") or ()]
        source = explain_sources([str(settings.get("source", "unknown source")), *further])
        who = " · donors who give all of these" if settings.get("complete") else ""
        return (
            f"{settings.get('folds', '?')}-fold cross-validation by donor ·"
            f" {plain(source)} to {len(self.tissues)} tissues{who} ·"
            f" {len(self.genes):,} genes · z-scores of log2(1 + expression)"
        )

    @property
    def figures_of_merit(self) -> list[str]:
        """Which of ``RHO_FIGURES`` any method has."""
        tissues = self.tables.tissues
        return [name for name in RHO_FIGURES if name in tissues and tissues[name].notna().any()]

    @property
    def adjusted_for(self) -> str:
        """Covariates that the adjusted figures have regressed out, in words."""
        return adjusted_for(self.tables.settings)

    def headline(self, method: str) -> dict[str, str]:
        """Return the figures of ``method`` that stand first, of those that were made, in words."""
        row = self.tables.summary().loc[method]
        by_fold = f"{row['gene_rho_by_fold_mean']:.3f}"
        if pd.notna(row.get("gene_rho_by_fold_low")):
            low, high = row["gene_rho_by_fold_low"], row["gene_rho_by_fold_high"]
            by_fold += f" ({low:.3f} to {high:.3f})"
        figures = {"Gene-wise rho, by fold": by_fold}
        if pd.notna(row.get(f"{RHO_ALONE}_mean")):
            source = plain(str(self.tables.settings.get("source")))
            alone = f"{row[f'{RHO_ALONE}_mean']:.3f}"
            if pd.notna(row.get("difference_low")):
                low, high = row["difference_low"], row["difference_high"]
                figures["Gain from the further tissues"] = (
                    f"{row['difference']:+.3f} ({low:.3f} to {high:.3f})"
                )
            figures[f"From {source} alone, the same donors"] = alone
        elif pd.notna(row.get("gene_adjusted_rho_by_fold_mean")):
            figures["Adjusted rho, by fold"] = f"{row['gene_adjusted_rho_by_fold_mean']:.3f}"
        if pd.notna(row.get(f"{COMPOSITION_ADJUSTED}_mean")):
            same = row.get("gene_rho_composition_known_mean")  # in the same donors, not in all
            figures["Adjusted for blood composition"] = (
                f"{row[f'{COMPOSITION_ADJUSTED}_mean']:.3f}"
                + (f" (unadjusted {same:.3f})" if pd.notna(same) else "")
            )
        figures["Predictable genes"] = f"{row['n_predictable_mean']:,.1f} of {len(self.genes):,}"
        return figures

    def compared(self, first: str, other: str) -> list[str]:
        """Say how ``first`` does against ``other``, a sentence a kind of comparison."""
        summary = self.tables.summary()
        pair = standings(self.tables.comparisons, first)
        row = pair.loc[other] if other in pair.index else pd.Series(dtype=float)
        by_fold = _difference("Rho by fold", "gene_rho_by_fold_mean", summary, first, other)
        sentences = [by_fold + self._uncertainty(row)]
        if "gene_adjusted_rho_by_fold_mean" in summary:
            words = f"Adjusted for {self.adjusted_for}"
            adjusted = _difference(words, "gene_adjusted_rho_by_fold_mean", summary, first, other)
            sentences.append(f"{adjusted}. There is no interval for it.")
        for kind, what in (("gene", "Gene-wise"), ("sample", "Sample-wise")):
            if f"{kind}_wins" in row:
                sentences.append(
                    f"{what}, Wilcoxon's rank-sum test in each tissue: {first} is higher in"
                    f" {row[f'{kind}_wins']:.0f} tissues ({row[f'{kind}_wins_fdr']:.0f} with an FDR"
                    f" of at most 5 %), lower in {row[f'{kind}_losses']:.0f}"
                    f" ({row[f'{kind}_losses_fdr']:.0f})."
                )
        for name, rival, column in (
            (other, first, "share_found_by_other"),
            (first, other, "share_of_other_found"),
        ):
            if pd.notna(row.get(column)):
                sentences.append(
                    f"{name} finds {row[column]:.0%} of the predictable genes of {rival}."
                )
        return sentences

    def _uncertainty(self, row: pd.Series) -> str:
        """Return the interval of the difference and what it says."""
        if pd.isna(row.get("difference_low")):
            return ". There is no interval for it."
        low, high = row["difference_low"], row["difference_high"]
        n_resamples = self.tables.settings.get("resamples")
        text = f", 95 % interval {low:.3f} to {high:.3f}, p = {row['p_bootstrap']:.2g}"
        text += " (paired bootstrap of the donors"
        if n_resamples:
            text += f", {n_resamples:,} resamples: p cannot be below {2 / (n_resamples + 1):.2g}"
        verdict = " The interval contains 0: the methods do not clearly differ on these donors."
        return f"{text}).{verdict if low <= 0 <= high else ''}"


def evaluation_of(model: ServedModel) -> Evaluated:
    """Return the evaluation of ``model``; where there is none, say so and end the page."""
    if model.evaluation is None:
        st.info(
            f"**{plain(model.predictor.artefact.name)}** is **not evaluated**: how well it "
            f"predicts is not known. Evaluate it with `mtm evaluate`, and train it with "
            f"`--evaluation`.",
            icon=":material/help:",
        )
        end_page()
    evaluated = Evaluated.of(model, model.evaluation)
    own = model.predictor.artefact.method.name
    if own not in evaluated.methods:
        st.warning(
            f"The model's own method, **{plain(own)}**, is not in its evaluation. The results "
            f"shown are those of"
            f" {plain_message(', '.join(evaluated.methods))}.",
            icon=":material/warning:",
        )
    return evaluated


def choose_sources(model: ServedModel, evaluated: Evaluated) -> Evaluated:
    """Let the user choose which tissues are predicted from, where several were evaluated."""
    tables = evaluated.tables
    several = dict.fromkeys(
        sources for name in evaluated.methods for sources in tables.combinations_of(name)
    )
    if not several:
        return evaluated
    by_name = {explain_sources(sources): sources for sources in several}
    alone = str(tables.settings.get("source"))
    chosen = st.selectbox(
        "Predicted from",
        [alone, *by_name],
        key="predicted_from",
        bind="query-params",
        help="One tissue, or several of the same donors together. Several are judged on the donors "
        "who give all of them.",
    )
    if chosen == alone:
        return evaluated
    sources = by_name[chosen]
    method = next(name for name in evaluated.methods if sources in tables.combinations_of(name))
    own = tables.from_sources(sources, method)
    assert own is not None
    return Evaluated.of(model, own)


def bring_along(key: str, options: Sequence[str]) -> None:
    """Let the widget ``key``, called next, start with what another page's of that name holds.

    Streamlit does so where the user chose it, but not where a link did.
    """
    if st.session_state.get(key) in options:
        st.session_state[key] = st.session_state[key]


def rank_in_words(size: RankCorrelation) -> str:
    """Return a rank correlation over tissues in a few words."""
    if pd.isna(size.rho):
        return f"the rank correlation cannot be computed ({size.n} tissues)"
    return f"Spearman's rho {size.rho:.2f}, p = {size.p:.2g}, {size.n} tissues"


def in_order(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return the rows of ``methods``, one method after the other."""
    return pd.concat([table[table["method"] == method] for method in methods])


def best_first(tissues: pd.DataFrame, figure_of_merit: str) -> list[str]:
    """Order the methods by their mean over tissues; those without the figure are left out."""
    means = tissues.groupby("method", sort=False)[figure_of_merit].mean().dropna()
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index]


def _difference(words: str, column: str, summary: pd.DataFrame, first: str, other: str) -> str:
    ours, theirs = (float(summary.loc[name, column]) for name in (first, other))
    return (
        f"{words}, mean over tissues: {first} {ours:.3f}, {other} {theirs:.3f}, a difference of"
        f" {ours - theirs:+.3f}"
    )
