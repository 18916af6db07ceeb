# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---
# %% [markdown]
# # Bring your own cohort
#
# MTM is not tied to GTEx. Any cohort with several tissues of the same donors can train a model. Here the cohort is
# simulated with a known truth: 120 donors, 4 tissues, 80 genes, and four factors that a donor's tissues share. We train,
# see how well held-out donors are predicted, and predict from blood.

# %%
import numpy as np

from mtm_core import Artefact, Predictor
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.ridge import RidgeMethod

cohort = simulate_cohort(SimulationConfig(n_donors=120, n_tissues=4, n_genes=80))
cohort

# %% [markdown]
# A cohort of your own comes from `mtm data prepare`, which reads GTEx's file formats: a GCT of TPM, a table of samples
# (donor, tissue) and a table of donors (age, sex).
#
# ## How well can held-out donors be predicted?
#
# Five folds by donor: all samples of a donor are in one fold, so no donor is in both training and test. Do this for every
# method that you consider, and take the one that predicts best: which one that is depends on the cohort.

# %%
folds = donor_folds(cohort.obs)
methods = {method.name: method for method in (KernelFactorsMethod(), RidgeMethod())}
rho = {}
for name, method in methods.items():
    out_of_fold = cross_validate(method, cohort, folds, source="Whole Blood")
    tissues = accuracy(out_of_fold, cohort.uns["donors"]).tissues
    rho[name] = tissues["gene_rho_by_fold"].mean()
    print(f"{name:15} rho by fold, mean over tissues: {rho[name]:.3f}")
best = max(rho, key=rho.get)
assert rho[best] > 0.6

# %% [markdown]
# ## Train on all donors, save, predict

# %%
donors = sorted(set(cohort.obs["donor"]))
model = Artefact.of(
    methods[best].fit(cohort, donors),
    cohort,
    name="my_cohort",
    provenance={"command": "docs/notebooks/own_cohort.py"},
)
blood = cohort[cohort.obs["tissue"] == "Whole Blood"].to_df()
prediction = Predictor(model).predict(blood, source="Whole Blood", unit="tpm")
prediction

# %% [markdown]
# These donors trained the model, so a correlation with their measured tissues would be too high; only the folds above count. What
# this shows is how predicted people differ: the first principal component of predicted muscle follows one of the simulated
# factors.

# %%
muscle = prediction["z"].sel(tissue="Muscle - Skeletal").to_numpy()
scores = np.linalg.svd(muscle - muscle.mean(axis=0), full_matrices=False)[0][:, 0]
of_donor = {donor: i for i, donor in enumerate(cohort.uns["donors"].index)}
rows = [of_donor[d] for d in cohort.obs.loc[blood.index, "donor"]]
planted = cohort.uns["truth"]["factors"][rows]
r = [abs(np.corrcoef(scores, planted[:, k])[0, 1]) for k in range(planted.shape[1])]
print("correlation of the first component with each planted factor:", np.round(r, 2))
assert max(r) > 0.5
