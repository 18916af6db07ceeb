# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---
# %% [markdown]
# # Cases and controls
#
# Two groups of people, blood from each: which genes differ in blood, which in predicted tissue, and what can you believe?
# The 40 samples are simulated, not real people. In 20 of them, the cases, eight genes were changed in blood. This is not a
# real disease, so no tissue should agree with GTEx beyond chance.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import plotly.graph_objects as go

from mtm_core import SAMPLES, Predictor, read_expression, read_metadata
from mtm_core.figures.associations.volcano import volcano
from mtm_core.inference.options import PredictionOptions
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.change_labels import kind_of_change
from mtm_core.workflows.compare import CompareOptions, compare_samples


class Page:
    """A figure with its script inside: no network is needed to look at it."""

    def __init__(self, figure: go.Figure) -> None:
        self.html = figure.to_html(full_html=False, include_mathjax=False)

    def _repr_html_(self) -> str:
        return self.html


MODEL = "gtex_v8_acmg59_stack"
blood = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=Predictor.load(MODEL).genes)
metadata = read_metadata(SAMPLES / "metadata.tsv", samples=blood.values.index)
metadata.groups("group").value_counts()

# %% [markdown]
# ## Look at age and sex first
#
# Predictions depend on age and sex, because expression does. Where cases and controls differ in age or sex, predictions
# differ for that reason alone. Here both were drawn at random.

# %%
known = pd.DataFrame({"group": metadata.groups("group"), **metadata.phenotypes()})
known.groupby("group")["age"].describe()[["count", "mean", "std"]].round(1)

# %% [markdown]
# ## Compare
#
# This is what `mtm compare` runs. It predicts each tissue **without** age and sex; otherwise an association with age
# would be built in. Measured blood is compared as you measured it, without alignment.

# %%
with TemporaryDirectory() as folder:
    output = Path(folder) / "compared"
    options = CompareOptions(
        tables=(SAMPLES / "blood_tpm.tsv",),
        metadata=SAMPLES / "metadata.tsv",
        output=output,
        groups="group=case,control",
        prediction=PredictionOptions(targets=("Lung",), unit="tpm"),
    )
    compare_samples(options, say=lambda text, level="info": print("-", text))
    genes = pd.read_csv(output / "differential_expression.csv")
    agreement = pd.read_csv(output / "reference_agreement.csv", keep_default_na=False)

# %% [markdown]
# ## The genes
#
# A gene that cannot be predicted in lung is drawn as an open circle, whatever its FDR: its change says nothing about lung.

# %%
FOLD_CHANGE, FDR = 0.1, 0.05
tested = genes[genes["outcome"] == TESTED]
tested = tested.assign(
    kind=kind_of_change(tested, fold_change=FOLD_CHANGE, fdr=FDR),
    accuracy="held-out rho " + tested["rho_by_fold"].map("{:.2f}".format),
)
print(tested.groupby(["tissue", "origin", "kind"]).size().to_string())
figure = volcano(tested, fold_change=FOLD_CHANGE, fdr=FDR, n_labels=8)
Page(figure)

# %% [markdown]
# Measured blood shows the eight genes that were changed. In predicted lung other genes pass the FDR too. That is not a
# discovery: all genes of a tissue are predicted from a few factors, so they change together, and a predicted tissue contains
# nothing that the blood did not contain. Predicted fold changes are small because predictions shrink towards the mean.

# %%
in_blood = tested[(tested["origin"] == "measured") & (tested["fdr"] <= FDR)]
planted = {"SDHD", "VHL", "SDHB", "MSH6", "SMAD4", "TSC1", "SDHAF2", "SDHC"}
print("found in measured blood:", ", ".join(sorted(in_blood["gene"])))
assert len(planted & set(in_blood["gene"])) >= 7

# %% [markdown]
# ## Does it agree with GTEx?
#
# Each tissue's changes are correlated with the changes that GTEx shows for age, sex and death on a ventilator. The columns
# `chance_low` and `chance_high` give the 95 % range for **shuffled labels**: the same samples, with case and control assigned at
# random. A
# correlation inside that range is chance, however large it is.

# %%
every_gene = agreement[(agreement["genes"] == "all") & (agreement["outcome"] == TESTED)]
numbers = ["pearson", "chance_low", "chance_high", "p"]
every_gene = every_gene.astype(dict.fromkeys(numbers, float)).reset_index(drop=True)
every_gene[["reference", "adjusted_for", "tissue", *numbers]].round(2)

# %%
beyond = every_gene[every_gene["p"] <= 0.05 / len(every_gene)]
widest = every_gene[["chance_low", "chance_high"]].abs().to_numpy().max()
print(f"shuffled labels alone reach a correlation of {widest:.2f}")
print(f"{len(beyond)} of {len(every_gene)} agree beyond chance (Bonferroni)")
assert widest > 0.4
assert len(beyond) == 0

# %% [markdown]
# ## What to believe
#
# - **Blood**: the changed genes, at an FDR of 5 %. This is an ordinary case-control comparison.
# - **Predicted lung**: what blood says about lung, in the genes with a held-out rho that you would accept. It is a
#   hypothesis to test in lung, not a measurement of it.
# - **Agreement with GTEx**: nothing here, as it should be. Always read a correlation beside its shuffled labels.
# - Check age, sex and, in hospital cohorts, severe illness: GTEx's strongest contrast is death on a ventilator.
