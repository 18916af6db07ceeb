# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---
# %% [markdown]
# # Predict, and judge what you get
#
# From a table of blood expression to predicted lung, and to the most important question: which of these numbers can you
# trust? The samples are simulated, not real people.

# %%
from mtm_core import SAMPLES, Predictor, read_expression
from mtm_core.evaluation.predictability import genes_of_tissue, rank_tissues
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_places import find_model

MODEL = "gtex_v8_acmg59_stack"
predictor = Predictor.load(MODEL)
table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
table.values.iloc[:3, :4]

# %% [markdown]
# What was found in the file, and what was done about it:

# %%
prepared = predictor.prepare(table, source="Whole Blood")
for note in prepared.notes:
    print("-", note)

# %% [markdown]
# ## Which tissues, which genes?
#
# The model was evaluated on donors it had not seen. `gene_rho_by_fold` is the mean over genes of Pearson's rho between
# prediction and measurement; `gene_adjusted_rho_by_fold` is the same after age, sex and Hardy scale are regressed out of both.

# %%
evaluation = EvaluationTables.load(find_model(MODEL) / "evaluation")
method = predictor.artefact.method.name
ranked = rank_tissues(evaluation.tissues, method)
ranked.head(8)

# %% [markdown]
# The best predicted genes in lung, with the 95 % interval of rho:

# %%
lung = genes_of_tissue(evaluation.genes, method, "Lung")
lung = lung.assign(symbol=predictor.artefact.genes["symbol"].reindex(lung.index))
lung.head(10)

# %% [markdown]
# ## Predict
#
# The prediction is an `xarray.Dataset`. A value is computed when it is read.

# %%
prediction = predictor.predict_prepared(prepared, ["Lung", "Liver"])
best = lung.index[0]
one = prediction.sel(tissue="Lung", gene=best)
one[["z", "expression", "lower", "upper"]].to_dataframe().head()

# %% [markdown]
# A prediction varies less between people than the truth does: with a rho of 0.5 it explains a quarter of the
# variance. The interval is wide for the same reason, and it is calibrated: in held-out donors, 90 % of the measured values were
# inside.

# %%
width = (one["upper"] - one["lower"]) / one["expression"]
print(f"median width of the 90 % interval, as a share of the value: {float(width.median()):.2f}")
coverage = evaluation.summary().loc[method, "coverage_90"]
print(f"share of held-out values inside their 90 % interval: {coverage:.3f}")
assert 0.88 < coverage < 0.92
