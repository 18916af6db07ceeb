"""Alignment by batch, by other moments and by a saved alignment, against numpy written out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core import SAMPLES, read_expression
from mtm_core.artefact import Artefact
from mtm_core.errors import ExpressionError, InputFileError, SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import read_alignment, write_alignment
from mtm_core.model_reference import QUANTILE_LEVELS
from mtm_core.studies.batch_groups import share_removed

BLOOD = "Whole Blood"


@pytest.fixture(scope="module")
def predictor(small_artefact: Artefact) -> Predictor:
    return Predictor(small_artefact)


@pytest.fixture
def people(small_cohort: ad.AnnData) -> pd.DataFrame:
    """Fifty-nine people's blood: TPM, 40 genes."""
    table = small_cohort[small_cohort.obs["tissue"] == BLOOD].to_df()
    return table.set_axis([f"p{i}" for i in range(len(table))])


@pytest.fixture
def batch(people: pd.DataFrame) -> pd.Series:
    """Two batches, dealt in turn."""
    names = np.where(np.arange(len(people)) % 2, "first", "second")
    return pd.Series(names, people.index, name="plate")


def shifted(people: pd.DataFrame, batch: pd.Series) -> pd.DataFrame:
    """Give every gene of the second batch another level and spread of log2."""
    rng, log2 = np.random.default_rng(7), np.log2(1 + people.astype(np.float64))
    own = (batch == "second").to_numpy()
    log2.loc[own] = log2.loc[own] * rng.uniform(0.7, 1.2, 40) + rng.uniform(0, 2, 40)
    return np.exp2(log2) - 1


def by_hand(predictor: Predictor, table: pd.DataFrame, how: str) -> np.ndarray:
    """Align samples as one batch, gene by gene."""
    artefact = predictor.artefact
    code = predictor.tissues.index(BLOOD)
    mean, sd = artefact.method.scaler.mean[code], artefact.method.scaler.sd[code]
    reference = artefact.reference.expression[:, code]
    y = np.log2(1 + table[artefact.genes.index].to_numpy(dtype=np.float64))
    z = np.empty_like(y)
    for g in range(y.shape[1]):
        own = y[:, g]
        if how == "cohort":
            z[:, g] = (own - own.mean()) / own.std()
            continue
        if how == "robust":
            low, middle, high = np.quantile(own, [0.25, 0.5, 0.75])
            theirs = np.interp([0.25, 0.5, 0.75], QUANTILE_LEVELS, reference[:, g])
            ratio = (theirs[2] - theirs[0]) / (high - low)
            aligned = (own - middle) * ratio + theirs[1]
        else:
            knots = np.quantile(own, QUANTILE_LEVELS)
            aligned = np.interp(own, knots, reference[:, g])
            aligned += np.where(own < knots[0], own - knots[0], 0)
            aligned += np.where(own > knots[-1], own - knots[-1], 0)
        z[:, g] = (aligned - mean[g]) / sd[g]
    return z


@pytest.mark.parametrize("how", ["cohort", "robust", "quantiles"])
def test_each_batch_is_aligned_as_a_cohort_of_its_own(
    predictor: Predictor, people: pd.DataFrame, batch: pd.Series, how: AlignmentMethod
) -> None:
    prepared = predictor.prepare(
        shifted(people, batch), unit="tpm", alignment=how, batch=batch.iloc[::-1]
    )
    for name in ("first", "second"):
        own = (batch == name).to_numpy()
        expected = by_hand(predictor, shifted(people, batch)[own], how)
        np.testing.assert_allclose(prepared.aligned.z[own], expected, atol=2e-4)
    alone = predictor.prepare(people, unit="tpm", alignment=how).aligned
    np.testing.assert_allclose(alone.z, by_hand(predictor, people, how), atol=2e-4)
    assert alone.how == prepared.aligned.how == how
    table = prepared.aligned.by_batch()
    assert table["batch"].tolist() == ["first", "second"]
    far = table.set_index("batch")
    own = prepared.aligned.distance[(batch == "second").to_numpy()].median()
    assert far.loc["second", "distance_before"] == own["distance_before"] > 1.5
    assert far.loc["second", "distance_after"] == own["distance_after"] < 1.2


def test_planted_shifts_are_removed_and_balanced_groups_stay(
    predictor: Predictor, people: pd.DataFrame, batch: pd.Series
) -> None:
    """Groups of 15 of 30 in each batch; the case effect is 1.5 of log2 in ten genes."""
    log2 = np.log2(1 + people.astype(np.float64))
    cases = np.arange(len(people)) % 4 < 2
    log2.iloc[cases, :10] += 1.5
    planted = np.exp2(log2) - 1
    before = predictor.prepare(planted, unit="tpm", alignment="cohort").aligned.z

    def effect(table: pd.DataFrame, **options: object) -> np.ndarray:
        z = predictor.prepare(table, unit="tpm", alignment="cohort", **options).aligned.z  # type: ignore[arg-type]
        return np.asarray(z[cases].mean(axis=0) - z[~cases].mean(axis=0))

    with_batches = predictor.prepare(
        shifted(planted, batch), unit="tpm", alignment="cohort", batch=batch
    ).aligned.z
    in_turn = (batch == "second").to_numpy()
    gap = with_batches[in_turn].mean(axis=0) - with_batches[~in_turn].mean(axis=0)
    assert np.abs(gap).max() < 1e-4
    assert np.corrcoef(with_batches.ravel(), before.ravel())[0, 1] > 0.95
    balanced = effect(shifted(planted, batch), batch=batch)
    np.testing.assert_allclose(balanced, effect(planted), atol=0.35)
    assert balanced[:10].min() > 0.5
    # Where a batch holds one group only, the difference between them is gone with the batches.
    coincide = pd.Series(np.where(cases, "first", "second"), people.index, name="plate")
    assert np.abs(effect(planted, batch=coincide)).max() < 1e-4


def test_small_batches_get_their_own_centre_and_the_spread_of_all(
    predictor: Predictor, people: pd.DataFrame
) -> None:
    names = ["large"] * 28 + ["few"] * 8 + ["some"] * 20 + ["one", "pair", "pair"]
    batch = pd.Series(names, people.index, name="plate")
    prepared = predictor.prepare(people, unit="tpm", batch=batch)
    y = np.log2(1 + people[predictor.artefact.genes.index].to_numpy(dtype=np.float64))
    own = {name: np.array(names) == name for name in dict.fromkeys(names)}
    # The variance of a sample, unbiased in each batch, averaged over samples of batches of two up.
    variance = np.zeros(y.shape[1])
    for rows in own.values():
        if rows.sum() > 1:
            variance += rows.sum() * y[rows].var(axis=0, ddof=1)
    z = prepared.aligned.z
    few = own["few"]
    expected = (y[few] - y[few].mean(axis=0)) / np.sqrt(variance / (len(y) - 1))
    np.testing.assert_allclose(z[few], expected, atol=2e-4)
    one = own["one"]
    np.testing.assert_allclose(z[one], (y[one] - y.mean(axis=0)) / y.std(axis=0), atol=2e-4)
    large = own["large"]
    np.testing.assert_allclose(z[large], by_hand(predictor, people[large], "cohort"), atol=2e-4)
    notes = [str(note) for note in prepared.aligned.notes if note.level == "warning"]
    assert any("1 batch has fewer than 20" in note and "'few' (8)" in note for note in notes)
    assert any("2 batches have fewer than 3" in note and "'one' (1)" in note for note in notes)
    of = prepared.aligned.by_batch().set_index("batch")["parameters_of"]
    assert of["few"] == "its own centre, the spread within all batches"
    assert of["pair"] == "all samples together"


@pytest.mark.parametrize("how", ["cohort", "robust", "quantiles"])
def test_samples_of_small_batches_spread_as_others_do(
    predictor: Predictor, people: pd.DataFrame, how: AlignmentMethod
) -> None:
    """Neither batches of three, nor many of one beside a few, may widen z-scores."""
    threes = pd.Series([f"b{i // 3}" for i in range(len(people))], people.index, name="plate")
    ones = pd.Series([f"b{max(i, 9)}" for i in range(len(people))], people.index, name="plate")
    for batch, n in ((threes, 57), (ones, 10)):
        z = predictor.prepare(people, unit="tpm", alignment=how, batch=batch).aligned.z[:n]
        within = [
            z[(batch[:n] == name).to_numpy()].var(axis=0, ddof=1) for name in batch[:n].unique()
        ]
        assert 0.8 < np.sqrt(np.mean(within)) < 1.25


def test_the_share_that_batches_remove_is_that_which_is_gone(
    predictor: Predictor, people: pd.DataFrame
) -> None:
    """Batches of 15 and 15 hold 12 and 3 cases; each of the others is a batch of its own."""
    cases = np.array([True] * 12 + [False] * 3 + [True] * 3 + [False] * 12 + [True, False] * 14)
    people = people.iloc[: len(cases)]
    names = ["first"] * 15 + ["second"] * 15 + [f"alone {i}" for i in range(28)]
    batch = pd.Series(names, people.index, name="plate")
    groups = pd.Series(np.where(cases, "case", "control"), people.index)
    planted = np.exp2(np.log2(1 + people) + 0.5 * cases[:, None]) - 1

    def effect(**options: object) -> float:
        z = [
            predictor.prepare(table, unit="tpm", alignment="cohort", **options).aligned.z  # type: ignore[arg-type]
            for table in (planted, people)
        ]
        difference = z[0] - z[1]
        return float(np.median(difference[cases].mean(axis=0) - difference[~cases].mean(axis=0)))

    share = share_removed(groups, batch)["case"]
    assert share == pytest.approx(30 * 0.3**2 / (58 * 0.25))
    assert effect(batch=batch) / effect() == pytest.approx(1 - share, abs=0.1)
    each_alone = pd.Series(people.index, people.index)
    assert share_removed(groups, each_alone)["case"] == 0


def test_later_samples_with_other_genes_are_scaled_as_the_earlier_ones() -> None:
    """Shares of a panel are what its genes make up of it; the saved alignment says of which."""
    predictor = Predictor.load("gtex_v8_acmg59_stack")
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes).values
    most = table.columns[np.argsort(-table.mean().to_numpy())[:3]]
    # This laboratory finds eight times as much of three genes as the reference has.
    table = table.astype(np.float64)
    table[most] *= 8
    few = table.drop(columns=most)

    def z(early: pd.DataFrame, late: pd.DataFrame, how: AlignmentMethod) -> np.ndarray:
        saved = predictor.prepare(early.iloc[:25], unit="tpm", alignment=how).alignment
        found = predictor.prepare(late.iloc[25:], alignment_from=saved)
        return found.aligned.z[:, predictor.prepare(few, unit="tpm").aligned.found]

    for how in ("cohort", "robust", "quantiles"):
        np.testing.assert_array_equal(z(few, table, how), z(few, few, how))  # type: ignore[arg-type]
        away = z(table, few, how) - z(table, table, how)  # type: ignore[arg-type]
        assert abs(away.mean()) < 0.1
    saved = predictor.prepare(table.iloc[:25], unit="tpm", alignment="cohort").alignment
    notes = [str(note) for note in predictor.prepare(few.iloc[25:], alignment_from=saved).notes]
    assert any("3 genes of the earlier table are not in this one" in note for note in notes)


@pytest.mark.parametrize("how", ["cohort", "robust", "quantiles", "none"])
def test_the_twenty_first_person_is_read_as_among_twenty_one(
    predictor: Predictor, people: pd.DataFrame, how: AlignmentMethod, tmp_path: Path
) -> None:
    twenty = predictor.prepare(people.iloc[:20], unit="tpm", alignment=how)
    write_alignment(twenty.alignment, tmp_path / "alignment.json")
    saved = read_alignment(tmp_path)
    assert saved.digest == twenty.alignment.digest
    later = predictor.prepare(people.iloc[20:21], alignment_from=saved).aligned.z
    together = predictor.prepare(people.iloc[:21], alignment_from=saved).aligned.z
    np.testing.assert_array_equal(later[0], together[20])
    np.testing.assert_array_equal(together[:20], twenty.aligned.z)
    alone = predictor.predict(people.iloc[20:21], targets=["Lung"], alignment_from=saved)
    among = predictor.predict(people.iloc[:21], targets=["Lung"], alignment_from=tmp_path)
    # The network's own sums differ in the last digit with the number of rows.
    np.testing.assert_allclose(alone["z"][0], among["z"][20], atol=2e-6)
    assert among.attrs["alignment"] == how
    assert saved.digest in among.attrs["alignment_from"]
    if how == "cohort":
        y = np.log2(1 + people[predictor.artefact.genes.index].to_numpy(dtype=np.float64))
        expected = (y[20] - y[:20].mean(axis=0)) / y[:20].std(axis=0)
        np.testing.assert_allclose(later[0], expected, atol=2e-4)


def test_later_samples_are_read_by_their_own_batch(
    predictor: Predictor, people: pd.DataFrame, batch: pd.Series
) -> None:
    table = shifted(people, batch)
    first = predictor.prepare(table.iloc[:50], unit="tpm", alignment="cohort", batch=batch)
    saved = first.alignment
    later = predictor.prepare(table.iloc[50:], alignment_from=saved, batch=batch)
    for name in ("first", "second"):
        own = (batch == name).to_numpy()
        y = np.log2(1 + table[predictor.artefact.genes.index].to_numpy(dtype=np.float64))
        known = y[:50][own[:50]]
        expected = (y[50:][own[50:]] - known.mean(axis=0)) / known.std(axis=0)
        np.testing.assert_allclose(later.aligned.z[own[50:]], expected, atol=2e-4)
    assert later.aligned.batches == tuple(batch.iloc[50:])
    with pytest.raises(SelectionError, match=r"is of 2 batches \('first', 'second'\)"):
        predictor.prepare(table.iloc[50:], alignment_from=saved)
    with pytest.raises(SelectionError, match=r"samples are of batch 'third'"):
        predictor.prepare(
            table.iloc[50:], alignment_from=saved, batch=batch.replace("first", "third")
        )
    with pytest.raises(SelectionError, match=r"batch of 9 samples is not known: 'p50'"):
        predictor.prepare(table.iloc[50:], alignment_from=saved, batch=batch.iloc[:50])


def test_later_samples_of_other_genes_have_those_of_both(
    predictor: Predictor, people: pd.DataFrame
) -> None:
    genes = list(people.columns)
    saved = predictor.prepare(people.iloc[:30, 2:], unit="tpm", alignment="cohort").alignment
    later = predictor.prepare(
        people.iloc[30:].drop(columns=genes[5]), unit="tpm", alignment_from=saved
    )
    lacking = later.aligned.z[:, [predictor.artefact.genes.index.get_loc(g) for g in genes[:2]]]
    assert (lacking == 0).all()
    assert later.aligned.found.sum() == 37
    note = next(note for note in later.notes if "not in the earlier one" in note.found)
    assert note.found.startswith("2 genes of the model are in this table")


def test_an_alignment_that_does_not_fit_is_refused(
    predictor: Predictor, people: pd.DataFrame, small_artefact: Artefact, tmp_path: Path
) -> None:
    saved = predictor.prepare(people.iloc[:20], unit="tpm", alignment="cohort").alignment
    one = people.iloc[20:21]
    other = Predictor(replace(small_artefact, name="other", sha256="0" * 64))
    for predict, options, message in (
        (other, {}, "is of the model 'small'"),
        (predictor, {"source": "Lung"}, "of samples of 'Whole Blood', and these are given as"),
        (predictor, {"unit": "counts"}, "values in tpm, and these are given as counts"),
        (predictor, {"alignment": "none"}, "omit the alignment 'none'"),
    ):
        with pytest.raises(SelectionError, match=message):
            predict.prepare(one, alignment_from=saved, **options)
    with pytest.raises(SelectionError, match=r"in tpm, and these look like counts.*--unit tpm"):
        predictor.prepare(one.round(), alignment_from=saved)
    predictor.prepare(one.round(), unit="tpm", alignment_from=saved)
    for how, n, least in (("robust", 4, 5), ("quantiles", 9, 10)):
        with pytest.raises(ExpressionError, match=f"needs {least} samples or more, got {n}"):
            predictor.prepare(people.iloc[:n], unit="tpm", alignment=how)  # type: ignore[arg-type]
    with pytest.raises(InputFileError, match=r"holds no alignment\.json"):
        predictor.prepare(one, alignment_from=tmp_path)
    path = tmp_path / "alignment.json"
    write_alignment(saved, path)
    whole = json.loads(path.read_text())
    with pytest.raises(SelectionError, match="of samples of 'Whole Blood', not of 'Lung'"):
        read_alignment(path, "Lung")
    for change in (
        {"format": "mtm-bundle"},
        {"format_version": 2},
        {"alignments": [whole["alignments"][0] | {"genes": ["g"]}]},
        {"alignments": [whole["alignments"][0] | {"unit": "furlongs"}]},
        {"alignments": [whole["alignments"][0] | {"batches": []}]},
        {"alignments": {"a": 1}},
        {"alignments": 3},
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(
            InputFileError,
            match=r"alignment\.json is not a saved alignment of "
            r"this",
        ):
            read_alignment(path)
    for text in ("", "[]", "sample,gene\n", '{"format": "mtm-alignment"}'):
        path.write_text(text)
        with pytest.raises(InputFileError, match="is not a saved alignment"):
            read_alignment(path)
