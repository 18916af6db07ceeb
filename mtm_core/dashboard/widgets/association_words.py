"""Associations with traits in words, as several screens say them."""

from __future__ import annotations

import pandas as pd


def agreement_in_words(row: pd.Series) -> str:
    """Say how far the own changes in one tissue go with the reference's, and what that is worth."""
    if pd.isna(row["pearson"]):
        return f"The correlation cannot be computed: {row['outcome']} (n = {row['n']} genes)."
    return (
        f"rho {row['pearson']:.2f} over n = {row['n']} genes, {row['low']:.2f} to {row['high']:.2f}"
        f" in 95 % of resamples of your samples. With shuffled labels 95 % of rho lie between"
        f" {row['chance_low']:.2f} and {row['chance_high']:.2f} (p = {row['p']:.3f}): genes are "
        f"correlated, so that lists of genes agree easily by chance."
        f" {row['same_sign']:.0%} of the genes have the same sign. Reference values come from up "
        f"to {row['n_reference']} donors."
    )


def regressed_out(adjusted_for: str) -> list[str]:
    """Name what is regressed out: ``["age", "Hardy scale"]`` of ``"age+hardy"``, none of ``""``."""
    return adjusted_for.replace("hardy", "Hardy scale").split("+") if adjusted_for else []


def contrast_in_words(trait: str, description: dict[str, str]) -> str:
    """Say what a trait of the reference compares."""
    if description["kind"] == "two groups":
        return f"{description['case']} against {description['control']}"
    return f"change of log2(1 + x) for a {'year of age' if trait == 'age' else f'unit of {trait}'}"
