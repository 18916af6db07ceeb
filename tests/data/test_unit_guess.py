"""What the values tell of their unit, and where they do not."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.tables.unit_guess.judging import guess_unit, guess_unit_of, judge
from mtm_core.data.tables.unit_guess.verdict import UnitGuess
from mtm_core.data.tables.value_summary import GeneColumns, ValueSummary
from mtm_core.errors import ExpressionError
from mtm_core.inference.model_scale import checked_table
from mtm_core.inference.unit_reading import read_unit
from tests.data.test_units import FORMULAS, frame


@pytest.fixture
def counts(rng: np.random.Generator) -> pd.DataFrame:
    mean = rng.lognormal(4, 2, 300)
    return frame(rng.poisson(mean * rng.lognormal(0, 0.4, (8, 300))).astype(float))


@pytest.fixture
def tpm(counts: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rate = counts / rng.uniform(0.4, 8, 300)
    return rate.mul(1e6 / rate.sum(axis=1), axis=0)


def test_counts_and_tpm(counts: pd.DataFrame, tpm: pd.DataFrame) -> None:
    assert guess_unit(counts).unit == "counts"
    assert guess_unit(tpm).unit == "tpm"
    assert "TPM from CPM" in guess_unit(tpm).reason
    part = guess_unit(tpm.iloc[:, :40])
    assert part.unit == "tpm"
    assert "This is a guess" in part.reason
    assert guess_unit(counts * 100.25).unit == "counts"


@pytest.mark.parametrize("unit", ["log2", "ln", "log10", "log2-0.001", "log2-0.01"])
@pytest.mark.parametrize("digits", [4, 6])
def test_a_logarithm_of_what_sums_to_a_million_is_known(
    tpm: pd.DataFrame, unit: str, digits: int
) -> None:
    assert guess_unit(FORMULAS[unit](tpm).round(digits)).unit == unit


@pytest.mark.parametrize("unit", ["log2", "ln", "log10"])
@pytest.mark.parametrize("n", [1, 8])
def test_a_logarithm_of_counts_is_known_by_whole_numbers(
    counts: pd.DataFrame, unit: str, n: int
) -> None:
    guess = guess_unit(FORMULAS[unit](counts).iloc[:n].round(5))
    assert guess.unit == unit
    assert "whole numbers" in guess.reason


@pytest.mark.parametrize("unit", ["log2", "ln", "log10"])
def test_a_logarithm_of_scaled_counts_is_known_by_what_one_read_is(
    counts: pd.DataFrame, unit: str
) -> None:
    factors = np.linspace(0.11, 0.37, len(counts))
    scaled = FORMULAS[unit](counts.mul(factors, axis=0)).round(5)
    guess = guess_unit(scaled.iloc[:, :150])
    assert guess.unit == unit
    assert "multiples" in guess.reason


def test_voom_is_known_by_halves_of_a_read(counts: pd.DataFrame) -> None:
    library = counts.sum(axis=1) * 40
    voom = np.log2((counts + 0.5).mul(1e6 / (library + 1), axis=0)).round(4)
    assert guess_unit(voom).unit == "logcpm"


def test_small_linear_values_are_asked_for(tpm: pd.DataFrame) -> None:
    for scale in (2e-5, 1e-4):
        guess = guess_unit((tpm * scale).iloc[:, :59].clip(upper=24.5))
        assert guess.unit is None
        assert "fpkm" in guess.possible
        with pytest.raises(ExpressionError, match=r"not clear.*fpkm \(FPKM\).*--unit.*unit="):
            guess.known()


def centred(log: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "z of genes":
        return (log - log.mean()) / log.std().replace(0, 1)
    if how == "genes":
        return log - log.mean()
    if how == "ratios to the first three":
        return log - log.iloc[:3].mean()
    if how == "z of samples":
        return log.sub(log.mean(axis=1), axis=0).div(log.std(axis=1), axis=0)
    return log.sub(log.mean(axis=1), axis=0)


@pytest.mark.parametrize(
    "how", ["z of genes", "genes", "ratios to the first three", "z of samples", "samples"]
)
@pytest.mark.parametrize("choice", ["auto", "log2", "logcpm", "log2-0"])
def test_centred_values_are_refused_whatever_is_chosen(
    tpm: pd.DataFrame, how: str, choice: str
) -> None:
    values = centred(np.log2(1 + tpm), how)
    summary = ValueSummary.of(values.to_numpy(), GeneColumns.of(list(values)))
    assert guess_unit(values).possible == ()
    with pytest.raises(ExpressionError, match="z-scores, centred logarithms, log ratios"):
        read_unit(summary, choice)


def test_the_users_unit_is_used_and_contrary_evidence_reported(tpm: pd.DataFrame) -> None:
    values = np.log2(1 + tpm)
    summary = ValueSummary.of(values.to_numpy(), GeneColumns.of(list(values)))
    reading = read_unit(summary, "ln")
    assert reading.unit == "ln"
    (note,) = reading.notes
    assert note.level == "warning"
    assert "look like log2" in note.found
    assert read_unit(summary, "log2").notes == ()


def test_rows_that_are_not_genes_do_not_affect_the_unit(tpm: pd.DataFrame) -> None:
    genes = [f"ENSG{i:011d}" for i in range(300)]
    log = np.log2(1 + tpm).set_axis(genes, axis=1)
    with_rows = log.assign(
        weight_kg=np.linspace(50, 120, 8), total=log.sum(axis=1), N_unmapped=5e6, RIN=8.1
    )
    assert guess_unit(with_rows) == guess_unit(log)
    linear = tpm.set_axis(genes, axis=1)
    doubled = pd.concat([linear.assign(total=1e6), linear[genes[:20]]], axis=1)
    assert guess_unit(doubled) == guess_unit(linear)


def test_the_unit_stated_by_the_file_is_used_if_it_fits(
    tpm: pd.DataFrame, counts: pd.DataFrame
) -> None:
    part = np.log10(1 + tpm).iloc[:, :100]
    assert guess_unit(part).unit is None
    assert guess_unit(part, stated="log10").unit == "log10"
    assert guess_unit(counts, stated="ln").unit == "counts"
    assert guess_unit(tpm, stated="ln").unit == "tpm"


@pytest.mark.parametrize("kind", ["counts", "tpm", "log2"])
def test_parts_of_a_table_summarise_to_the_whole(
    counts: pd.DataFrame, tpm: pd.DataFrame, kind: str
) -> None:
    table = {"counts": counts, "tpm": tpm, "log2": np.log2(1 + tpm) - 0.1}[kind]
    values, columns = table.to_numpy(dtype=np.float64), GeneColumns.of(list(table))
    whole = ValueSummary.of(values, columns)
    parts = [ValueSummary.of(values[i:j], columns) for i, j in ((0, 1), (1, 5), (5, 8))]
    joined = ValueSummary.joined(parts)
    for name, value in asdict(whole).items():
        if value is not None:
            np.testing.assert_allclose(asdict(joined)[name], value, atol=1e-12, err_msg=name)
    assert guess_unit_of(joined) == guess_unit(table)


def test_a_guess_says_what_to_do() -> None:
    assert UnitGuess("log2", "So it is.").note().level == "info"
    note = UnitGuess(None, "It is not clear.", ("log2", "tpm")).note()
    assert "--unit" in note.next_step
    assert "Upload page" in note.next_step


def test_quantiles_have_no_recognisable_unit(tpm: pd.DataFrame) -> None:
    quantiles = (tpm.rank(axis=1, method="first") - 0.5) / tpm.shape[1]
    assert guess_unit(quantiles).unit is None


def test_another_floor_is_named_and_not_guessed_at(tpm: pd.DataFrame) -> None:
    tpm.iloc[:, :3] = 0.0
    for values, name in (
        (np.log10(tpm + 0.001), r"log10\(x \+ 0.001\)"),
        (np.log(tpm + 0.01), r"ln\(x \+ 0.01\)"),
    ):
        with pytest.raises(ExpressionError, match=rf"as {name} of 0 is. No such unit is read"):
            guess_unit(values).known()
    assert "logcpm" in guess_unit(np.log2(tpm + 0.5)).possible


def test_logarithms_of_intensities_are_no_tpm(counts: pd.DataFrame) -> None:
    """Log2 of what a mass spectrometer counts: too large for log2 of reads, too alike for TPM."""
    intensities = np.log2(counts * 1e6 + 1e5)
    guess = guess_unit(intensities)
    assert guess.unit is None
    assert guess.possible[0] == "log2-0"
    assert "rather logarithms of large numbers" in guess.reason
    assert guess_unit(counts * 1e3 + 0.5).unit == "counts"


def test_values_beyond_measure_are_refused_by_their_cell(tpm: pd.DataFrame) -> None:
    """Their squares overflow, and all other genes vanish beside them."""
    tpm.iloc[2, 5] = 1e308
    with pytest.raises(ExpressionError, match=r"1 value is beyond 1e\+15.*1e\+308"):
        judge(tpm)
    with pytest.raises(ExpressionError, match=r"1 value is beyond 1e\+15"):
        checked_table(tpm)
