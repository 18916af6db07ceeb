"""The score that training watches, against a loop over tissues and genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from mtm_core.config import ModelConfig, ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import TrainingError
from mtm_core.model.mtm import MTM
from mtm_core.training.validation import MINIMUM_DONORS, ValidationPairs, predict_in_chunks

CPU = torch.device("cpu")
SOURCE = "Whole Blood"


@pytest.fixture
def scaler(factor_cohort: ad.AnnData) -> TissueScaler:
    codes, n_tissues = tissue_codes(factor_cohort), len(tissue_names(factor_cohort))
    return TissueScaler.fit(factor_cohort.X, codes, n_tissues, ScalingConfig())


@pytest.fixture
def model(factor_model: ModelConfig, scaler: TissueScaler) -> MTM:
    model = MTM(factor_model, scaler)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():  # a gene that is predicted alike for everyone
        model.generator.to_profile.weight[3] = 0
    return model


def rows_of_first(cohort: ad.AnnData, n_donors: int) -> np.ndarray:
    donors = sorted(set(cohort.obs["donor"]))[:n_donors]
    return np.flatnonzero(cohort.obs["donor"].isin(donors))


def test_score_equals_a_loop(factor_cohort: ad.AnnData, scaler: TissueScaler, model: MTM) -> None:
    # Few donors, so that some tissue has too few of them to count.
    rows = rows_of_first(factor_cohort, 9)
    names, codes = tissue_names(factor_cohort), tissue_codes(factor_cohort)
    obs = factor_cohort.obs.reset_index(drop=True).loc[rows]
    model.eval()
    rhos, weights, errors = [], [], []
    for name in names:
        if name == SOURCE:
            continue
        predicted, observed = [], []
        for donor in sorted(set(obs["donor"])):
            own = obs[obs["donor"] == donor]
            sources = own.index[own["tissue"] == SOURCE]
            targets = own.index[own["tissue"] == name]
            if len(sources) and len(targets):
                z = scaler.transform(factor_cohort.X[[sources[0]]], codes[[sources[0]]])
                with torch.no_grad():
                    made = model(
                        torch.from_numpy(z),
                        torch.tensor([names.index(SOURCE)]),
                        torch.tensor([names.index(name)]),
                    )
                predicted.append(made.numpy()[0])
                observed.append(
                    scaler.transform(factor_cohort.X[[targets[0]]], codes[[targets[0]]])[0]
                )
        if not predicted:
            continue
        p, o = np.array(predicted), np.array(observed)
        errors.extend(np.abs(p - o).ravel())
        if len(p) >= MINIMUM_DONORS:
            # Gene 3 has no correlation: it counts as 0, not as absent.
            by_gene = [0 if g == 3 else pearsonr(p[:, g], o[:, g]).statistic for g in range(12)]
            rhos.append(np.mean(by_gene))
            weights.append(len(p))
    assert len(set(weights)) > 1

    rho, mae = ValidationPairs.of(factor_cohort, rows, scaler, SOURCE, CPU).score(model)
    assert rho == pytest.approx(np.average(rhos, weights=weights), abs=1e-5)
    assert mae == pytest.approx(np.mean(errors), rel=1e-5)


def test_tissues_of_too_few_donors_do_not_count(
    factor_cohort: ad.AnnData, scaler: TissueScaler, model: MTM
) -> None:
    rows = rows_of_first(factor_cohort, 30)
    blood, rare = tissue_names(factor_cohort).index(SOURCE), 0
    codes = tissue_codes(factor_cohort)[rows]
    both = [r for r in rows[codes == rare] if is_with(factor_cohort, r, rows[codes == blood])]
    few = np.setdiff1d(rows, both[MINIMUM_DONORS - 1 :])
    none = np.setdiff1d(rows, both)
    assert rare != blood
    with_few = ValidationPairs.of(factor_cohort, few, scaler, SOURCE, CPU)
    without = ValidationPairs.of(factor_cohort, none, scaler, SOURCE, CPU)
    assert len(with_few.target) == len(without.target) + MINIMUM_DONORS - 1
    assert with_few.score(model)[0] == pytest.approx(without.score(model)[0], abs=1e-7)


def is_with(cohort: ad.AnnData, row: int, rows: np.ndarray) -> bool:
    donor = cohort.obs["donor"].to_numpy()
    return donor[row] in set(donor[rows])


def test_pairs_start_from_the_source_and_stay_with_the_donor(
    factor_cohort: ad.AnnData, scaler: TissueScaler
) -> None:
    rows = rows_of_first(factor_cohort, 30)
    pairs = ValidationPairs.of(factor_cohort, rows, scaler, "Lung", CPU)
    lung = tissue_names(factor_cohort).index("Lung")
    assert (pairs.source == lung).all()
    assert not (pairs.target == lung).any()
    z, codes = scaler.transform(factor_cohort.X, tissue_codes(factor_cohort)), rows.tolist()
    row_of = {z[i].tobytes(): i for i in codes}
    donor = factor_cohort.obs["donor"].to_numpy()
    for source, target in zip(pairs.source_z.numpy(), pairs.target_z.numpy(), strict=True):
        assert donor[row_of[source.tobytes()]] == donor[row_of[target.tobytes()]]


def test_a_model_that_knows_the_answer_scores_1(
    factor_cohort: ad.AnnData, scaler: TissueScaler, model: MTM
) -> None:
    rows = rows_of_first(factor_cohort, 30)
    pairs = ValidationPairs.of(factor_cohort, rows, scaler, SOURCE, CPU)
    reported = ValidationPairs(pairs.source_z, pairs.source, pairs.source_z, pairs.source)
    model.forward = lambda z, source, target: z  # type: ignore[method-assign]
    rho, mae = reported.score(model)
    assert rho == pytest.approx(1, abs=1e-9)
    assert mae == 0


def test_too_few_pairs_are_refused(factor_cohort: ad.AnnData, scaler: TissueScaler) -> None:
    rows = rows_of_first(factor_cohort, MINIMUM_DONORS - 1)
    with pytest.raises(TrainingError, match=r"too few pairs from 'Whole Blood': at most \d a"):
        ValidationPairs.of(factor_cohort, rows, scaler, SOURCE, CPU)


def test_an_unknown_source_is_named(factor_cohort: ad.AnnData, scaler: TissueScaler) -> None:
    rows = rows_of_first(factor_cohort, 30)
    with pytest.raises(TrainingError, match="no tissue 'Whole blood'"):
        ValidationPairs.of(factor_cohort, rows, scaler, "Whole blood", CPU)


def test_chunks_and_dropout_do_not_change_predictions(model: MTM) -> None:
    z = torch.randn(10, 12)
    source, target = torch.arange(10) % 4, (torch.arange(10) + 1) % 4
    model.train()
    whole = predict_in_chunks(model, z, source, target)
    assert model.training
    np.testing.assert_allclose(
        predict_in_chunks(model, z, source, target, chunk=3), whole, atol=1e-6
    )
    model.eval()
    with torch.no_grad():
        np.testing.assert_allclose(model(z, source, target), whole, atol=1e-6)
    assert not model.training
