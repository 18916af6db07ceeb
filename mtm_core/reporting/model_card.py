"""The model card: what a model is, how far to trust it, and how it was made."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.evaluation.combinations import RHO_ALONE
from mtm_core.evaluation.composition_table import FROM
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.together import explain_sources
from mtm_core.methods.covariates import AGE_SEX

FIGURES = {
    "gene_rho_by_fold": "gene-wise rho, by fold",
    "gene_rho_pooled": "gene-wise rho, pooled",
    "gene_adjusted_rho_by_fold": "gene-wise rho, adjusted for age, sex and Hardy scale",
    "gene_rho_adjusted_for_composition": "gene-wise rho, pooled, adjusted for blood composition",
    "sample_rho": "sample-wise rho",
    "n_predictable": "predictable genes (pooled rho > 0.3)",
    "mse_ratio": "squared error / training mean's",
    "coverage_90": "values inside their 90 % interval",
}
"""Figures of merit of :mod:`mtm_core.evaluation.accuracy`, in words."""
_MOST_LISTED = 100
"""Values of a list of settings that are written out: tissues, never genes."""
LIMITS = (
    "Predictions shrink towards the tissue's mean: they rank donors, and do not replace a "
    "biopsy. Most genes in most tissues cannot be predicted from blood; check the accuracy of "
    "the gene in the tissue before you use its value. The model was not tested on living people, "
    "children, or ancestries that GTEx lacks."
)


def render_model_card(artefact: Artefact, evaluation: EvaluationTables | None) -> str:
    """Return the card as Markdown; its accuracy comes from ``evaluation`` alone."""
    provenance = artefact.provenance
    sections = [
        f"# {artefact.name}",
        f"Predicts {len(artefact.genes):,} genes in each of {len(artefact.tissues)} tissues from "
        f"any of the others. **For research use, not for diagnosis.**",
        "## Data",
        f"{provenance.get('n_samples', 0):,} samples of {provenance.get('n_donors', 0):,} donors in"
        f" {len(artefact.tissues)} tissues (GTEx, open access), expression in {artefact.unit}."
        f" The cohort is what `mtm data prepare --normalise {artefact.normalisation}` makes of the"
        " GTEx files of these genes (listed in model.json); the SHA-256 of the cohort is"
        f" `{provenance.get('cohort_sha256')}`. GTEx donors were dead when sampled: much of the "
        f"correlation between blood and tissue comes from age, sex and how the donor died (Hardy "
        f"scale).",
        "## Accuracy on donors not seen in training",
        _accuracy(artefact, evaluation),
        "## Training",
        f"`{provenance.get('command')}`, on {provenance.get('created')}.{_epochs(provenance)}"
        " Settings:\n\n"
        f"```json\n{json.dumps(_cut(artefact.method.settings()), indent=1)}\n```",
        "## Limits",
        LIMITS,
        "## Method",
        "He et al. 2023, Bioinformatics 39(6):btad363, doi:10.1093/bioinformatics/btad363.",
    ]
    return "\n\n".join(sections) + "\n"


def _cut(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Cut long lists of settings: the whole of them is in model.json."""
    if isinstance(value, dict):
        return {name: _cut(part) for name, part in value.items()}
    if isinstance(value, list) and len(value) > _MOST_LISTED:
        more = f"and {len(value) - _MOST_LISTED:,} more, see model.json"
        return [*value[:_MOST_LISTED], more]
    if isinstance(value, list):
        return [_cut(part) for part in value]
    return value


def _epochs(provenance: dict[str, Any]) -> str:
    if "epochs" not in provenance:
        return ""
    return f" {provenance['epochs']} epochs, the weights of epoch {provenance['best_epoch']}."


def _accuracy(artefact: Artefact, evaluation: EvaluationTables | None) -> str:
    if evaluation is None:
        return "Not evaluated. Run `mtm evaluate` and train with `--evaluation`."
    settings = evaluation.settings
    intro = (
        f"{settings['folds']}-fold cross-validation by donor, from {settings['source']}; figures "
        f"are computed in each target tissue, then averaged over the"
        f" {evaluation.tissues['tissue'].nunique()} tissues. z-scores of log2(1 + expression)."
    )
    if set(evaluation.tissues["method"]) & {artefact.method.name + AGE_SEX}:
        intro += f" `{AGE_SEX}`: the same model with each donor's age and sex."
    if "resampled_genes" in settings:
        intro += (
            f" Intervals resample the donors {settings['resamples']:,} times, scored on"
            f" {settings['resampled_genes']:,} random genes of {len(artefact.genes):,}."
        )
    intro += composition_from(evaluation)
    summary = evaluation.summary()
    # An evaluation may lack a figure: coverage where no method gives intervals.
    overall = {
        figure: column
        for figure in FIGURES
        for column in (figure, f"{figure}_mean")
        if column in summary
    }
    headings = [FIGURES[figure] for figure in overall]
    rows = [["method", *headings]] + [
        [str(name), *(_shown(row[column]) for column in overall.values())]
        for name, row in summary.iterrows()
    ]
    own = artefact.method.name
    scored = own in evaluation.methods
    tissues: list[dict[str, Any]] = sorted(
        (evaluation.of_method(own) if scored else artefact.accuracy)["tissues"],
        key=lambda row: -row["gene_rho_by_fold"],
    )
    by_tissue = [["tissue", "donors", *headings]] + [
        [row["tissue"], str(row["n"]), *(_shown(row.get(figure, math.nan)) for figure in overall)]
        for row in tissues
    ]
    together = _combinations(evaluation, own)
    return f"{intro}\n\n{_table(rows)}{together}\n\n{own} by tissue:\n\n{_table(by_tissue)}"


def composition_from(evaluation: EvaluationTables | None) -> str:
    """Say where the blood composition that rho is adjusted for comes from; empty if unknown."""
    settings = {} if evaluation is None else evaluation.settings
    if "composition" not in settings:
        return ""
    if settings["composition"] == "estimated":
        return " Blood composition was estimated from the donors' blood."
    where = f", {settings[FROM]}" if FROM in settings else ""
    return (
        f" Blood composition: {settings['composition']}{where}; it is known for some of the donors,"
        " and rho is adjusted for it in these."
    )


def _combinations(evaluation: EvaluationTables, method: str) -> str:
    """Return the accuracy of each combination of tissues; nothing where none was evaluated."""
    rows = []
    for name in (method, method + AGE_SEX):
        for sources in evaluation.combinations_of(name):
            known = evaluation.from_sources(sources, name)
            assert known is not None
            figures = known.summary().loc[name]
            rows.append(
                [
                    name,
                    explain_sources(sources),
                    str(int(known.tissues["n"].max())),
                    _shown(figures[f"{RHO_ALONE}_mean"]),
                    _shown(figures["gene_rho_by_fold_mean"]),
                    *(_between(figures, name) for name in ("gene_rho_by_fold", "difference")),
                    _shown(figures.get("coverage_90", math.nan)),
                ]
            )
    if not rows:
        return ""
    source = evaluation.settings["source"]
    heads = ["method", "from", "most donors", f"rho from {source} alone", "rho together"]
    heads += ["95 % interval", "95 % interval of the gain", FIGURES["coverage_90"]]
    if evaluation.combination_intervals.empty:
        heads, *rows = ([*row[:5], *row[7:]] for row in (heads, *rows))
    words = "From several tissues together, the donors who give all of them, by fold:"
    return f"\n\n{words}\n\n{_table([heads, *rows])}"


def _between(row: pd.Series, figure: str) -> str:
    """Return the interval of a figure; nothing if there is none."""
    low, high = (row.get(f"{figure}_{end}", math.nan) for end in ("low", "high"))
    return "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _shown(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if abs(value) < 2 else f"{value:,.1f}"  # a share, or a number of genes


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
