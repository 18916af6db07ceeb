"""Values that are computed when they are read: which are, how often, and that they are the same."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.cohort import tissue_codes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import ArtefactError
from mtm_core.inference import decoder as decoder_module
from mtm_core.inference.blocks import prediction_bytes
from mtm_core.inference.export import blocks_in, write_prediction
from mtm_core.inference.on_demand import held_bytes, is_lazy, loaded
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.protocol import FittedMethod, Method, PredictedProfiles, target_predictor
from mtm_core.methods.registry import make_method
from mtm_core.methods.stack import StackMethod
from mtm_core.studies.among_reference import on_reference_scale
from mtm_core.studies.own_cohort import OwnCohort

BLOOD = "Whole Blood"
NAMES = ("z", "expression", "lower", "upper")
N_GENES, N_TISSUES = 20, 5


@dataclass(frozen=True)
class Around(ABC):
    """A fitted method whose predictions of a tissue pass through :meth:`seen`."""

    method: FittedMethod

    def __getattr__(self, name: str) -> object:
        return getattr(self.method, name)

    def target_predictor(
        self, profiles: object, phenotypes: object = None
    ) -> Callable[..., object]:
        predict = target_predictor(self.method, profiles, phenotypes)  # type: ignore[arg-type]
        return lambda target, genes=None: self.seen(target, predict(target, genes))

    @abstractmethod
    def seen(self, target: str, result: PredictedProfiles) -> PredictedProfiles:
        """Return what the method predicts in place of ``result``."""


@dataclass(frozen=True)
class Counting(Around):
    """A fitted method that notes what is decoded: (target, samples, genes)."""

    decoded: list[tuple[str, int, int]] = field(default_factory=list)

    def seen(self, target: str, result: PredictedProfiles) -> PredictedProfiles:
        self.decoded.append((target, *result.mean.shape))
        return result


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=70, n_genes=N_GENES, n_tissues=N_TISSUES))


def method_of(name: str) -> Method:
    """Return a method that is quick to fit."""
    config = with_changes(preset("acmg59", N_GENES, N_TISSUES), {"training.epochs": "1"})
    joint = JointGaussianMethod(n_factors=(2, 3), n_iterations=3, covariates=("age", "sex"))
    match name:
        case "joint-gaussian":
            return joint
        case "kernel-factors":
            return KernelFactorsMethod(joint, n_points=20)
        case "stack":
            return StackMethod((method_of("kernel-factors"), method_of("ridge")), n_inner=2)
    return make_method(name, source=BLOOD, config=config)


def predictor_of(name: str, cohort: ad.AnnData) -> Predictor:
    fitted = method_of(name).fit(cohort, sorted(set(cohort.obs["donor"])))
    return Predictor(Artefact.of(fitted, cohort, name=name, provenance={}))


@pytest.fixture(scope="module")
def stack(cohort: ad.AnnData) -> Predictor:
    return predictor_of("stack", cohort)


@pytest.fixture
def counting(stack: Predictor) -> Predictor:
    method = Counting(stack.artefact.method)
    return Predictor(replace(stack.artefact, method=method))  # type: ignore[arg-type]


def decoded(predictor: Predictor) -> list[tuple[str, int, int]]:
    notes: list[tuple[str, int, int]] = predictor.artefact.method.decoded  # type: ignore[attr-defined]
    return notes


@pytest.fixture
def prepared(stack: Predictor, cohort: ad.AnnData) -> Prepared:
    rows = np.flatnonzero(cohort.obs["tissue"] == BLOOD)[:12]
    return stack.prepare(cohort[rows].to_df(), unit="tpm")


@pytest.fixture
def people(prepared: Prepared) -> pd.DataFrame:
    """Age and sex of all but two."""
    known = pd.DataFrame({"age": 30.0, "sex": "male"}, index=list(prepared.samples))
    known.iloc[::3, 0] = 65
    known.iloc[3:5] = np.nan
    return known


@pytest.fixture
def as_if_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tissues cut as where they have thousands of genes."""
    monkeypatch.setattr(decoder_module, "_WHOLE_BYTES", 0)


def by_hand(predictor: Predictor, prepared: Prepared, people: pd.DataFrame) -> dict:
    """All four values of each tissue, from the method's own ``predict`` and the scaler."""
    method, values = predictor.artefact.method, {}
    for target in predictor.targets_of(BLOOD):
        t = predictor.tissues.index(target)
        result = method.predict({BLOOD: prepared.aligned.z}, target, people)
        values["z", target] = result.mean
        values["expression", target] = method.scaler.inverse(result.mean, t)
        if result.multipliers is not None and result.sd is not None:
            half = result.multipliers[90][:, None] * result.sd
            values["lower", target] = method.scaler.inverse(result.mean - half, t)
            values["upper", target] = method.scaler.inverse(result.mean + half, t)
    return values


@pytest.mark.parametrize(
    "name", ["stack", "joint-gaussian", "kernel-factors", "mtm", "ridge", "training-mean", "bgex"]
)
def test_loaded_is_what_the_method_gives_to_the_bit(
    name: str, cohort: ad.AnnData, prepared: Prepared, people: pd.DataFrame, stack: Predictor
) -> None:
    predictor = stack if name == "stack" else predictor_of(name, cohort)
    expected = by_hand(predictor, prepared, people)
    now = predictor.predict_prepared(prepared, phenotypes=people, at_once=inf)
    later = predictor.predict_prepared(prepared, phenotypes=people, at_once=0)
    assert is_lazy(later["z"])
    assert not is_lazy(now["z"])
    assert later.attrs == now.attrs
    assert set(later) == set(now)
    assert [str(key) for key in later.coords] == [str(key) for key in now.coords]
    for way in (now, later.copy(deep=True).load(), loaded(later), later):
        for (value, target), array in expected.items():
            got = way[value].sel(tissue=target).to_numpy()
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, array)
    assert ("lower" in now) == (("lower", "Lung") in expected)
    assert is_lazy(later["z"])  # reading keeps nothing in the variable


@pytest.mark.usefixtures("as_if_wide")
def test_only_requested_tissues_and_genes_are_decoded(
    counting: Predictor, prepared: Prepared
) -> None:
    prediction = counting.predict_prepared(prepared, at_once=0)
    tissues, genes = prediction["tissue"].to_numpy(), prediction["gene"].to_numpy()
    first = decoded(counting)[:]
    assert first == [(tissues[0], 12, N_GENES)]  # to know whether there are intervals
    decoded(counting).clear()
    cut = prediction.sel(tissue=tissues[1:3]).isel(gene=slice(3, 6))
    assert decoded(counting) == []
    cut["z"].to_numpy()
    assert decoded(counting) == [(tissues[1], 12, 3), (tissues[2], 12, 3)]
    for name in NAMES:  # of what is decoded already
        cut[name].to_numpy()
    assert len(decoded(counting)) == 2
    one = prediction["expression"].sel(gene=genes[7], sample=prepared.samples[2])
    decoded(counting).clear()
    one.to_numpy()
    assert decoded(counting) == [(tissue, 1, 1) for tissue in tissues[1:]]  # the first is whole


@pytest.mark.usefixtures("as_if_wide")
def test_dask_computes_what_is_left_of_it_alone(counting: Predictor, prepared: Prepared) -> None:
    later = counting.predict_prepared(prepared, at_once=0)
    whole = loaded(later)["z"].isel(tissue=[1, 2]).to_numpy()
    decoded(counting).clear()
    chunked = later["z"].isel(tissue=[1, 2]).chunk({"tissue": 1})
    assert decoded(counting) == []  # not to be hashed either
    again = later["upper"].isel(tissue=[1, 2]).chunk({"tissue": 1})
    assert chunked.data.name != again.data.name
    np.testing.assert_array_equal(chunked.mean("gene").compute(), whole.mean(axis=2))
    assert {tissue for tissue, _, _ in decoded(counting)} <= set(later["tissue"].to_numpy()[1:3])


def test_values_on_demand_are_loaded_before_they_are_set(
    stack: Predictor, prepared: Prepared
) -> None:
    later = stack.predict_prepared(prepared, at_once=0)
    with pytest.raises(TypeError, match="load them first"):
        later["z"][0, 0, 0] = 1.0
    part = later.isel(tissue=[0, 1]).load()
    part["z"][0, 0, 0] = 1.0
    assert part["z"][0, 0, 0] == 1 != later["z"][0, 0, 0]


@pytest.mark.usefixtures("as_if_wide")
def test_a_cut_is_the_cut_of_the_whole(
    stack: Predictor, prepared: Prepared, people: pd.DataFrame
) -> None:
    whole = stack.predict_prepared(prepared, phenotypes=people, at_once=inf)
    genes, samples = whole["gene"].to_numpy(), whole["sample"].to_numpy()
    cuts: list[Callable[[xr.Dataset], xr.Dataset]] = [
        lambda p: p.sel(tissue="Lung", gene=list(genes[[5, 2, 9]])),
        lambda p: p.sel(gene=genes[3]).transpose("tissue", "sample"),
        lambda p: p.sel(sample=samples[4]),
        lambda p: p.isel(sample=[7, 0, 3], tissue=[2, 0], gene=slice(None, None, -1)),
        lambda p: p.isel(sample=-1, tissue=-1, gene=-1),
        lambda p: p.isel(sample=slice(4, 6)).isel(tissue=1).isel(gene=slice(2, 9, 3)),
        lambda p: p.isel(gene=np.arange(N_GENES) % 3 == 0),
        lambda p: p.isel(
            sample=xr.DataArray([0, 3], dims="x"), gene=xr.DataArray([1, 2], dims="x")
        ),
        lambda p: p.isel(sample=slice(0, 0)),
    ]
    for cut in cuts:
        later = stack.predict_prepared(prepared, phenotypes=people, at_once=0)
        for name in NAMES:
            expected, got = cut(whole)[name], cut(later)[name]
            assert got.dims == expected.dims
            np.testing.assert_allclose(got.to_numpy(), expected, rtol=3e-5, atol=1e-5)


def test_the_cache_is_bounded(
    counting: Predictor, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_tissues = 2 * 2 * 4 * 12 * N_GENES
    monkeypatch.setattr(
        decoder_module.Decoder.__init__, "__kwdefaults__", {"cache_bytes": two_tissues}
    )
    prediction = counting.predict_prepared(prepared, at_once=0)
    names = prediction["tissue"].to_numpy()
    reader = prediction["z"].variable._data.array.reader
    decoded(counting).clear()
    for place in (0, 1, 0, 2, 0, 1):
        prediction["z"].isel(tissue=place).to_numpy()
        cached = reader.decoder._cache.values()
        assert sum(one.mean.nbytes + one.sd.nbytes for one in cached) <= two_tissues
    # The first was there; the one used longest ago went for the third.
    assert [target for target, *_ in decoded(counting)] == [names[1], names[2], names[1]]
    reader.decoder.cache_bytes = 0  # too small for one: where all is read, each is decoded once
    for n_decoded in (len(names) - 2, len(names)):  # two were there
        decoded(counting).clear()
        loaded(prediction)
        assert len(decoded(counting)) == n_decoded
        assert not reader.decoder._cache


def test_threads_that_read_one_tissue_decode_it_once(
    counting: Predictor, prepared: Prepared
) -> None:
    prediction = counting.predict_prepared(prepared, at_once=0)
    decoded(counting).clear()
    expected = counting.predict_prepared(prepared, at_once=inf)["upper"].isel(tissue=2).to_numpy()
    decoded(counting).clear()
    with ThreadPoolExecutor(8) as threads:
        read = threads.map(lambda _: prediction["upper"].isel(tissue=2).to_numpy(), range(24))
        for values in read:
            np.testing.assert_array_equal(values, expected)
    assert len(decoded(counting)) == 1


def test_a_lazy_prediction_can_be_copied_sent_joined_and_written(
    stack: Predictor, prepared: Prepared, tmp_path: Path
) -> None:
    whole = stack.predict_prepared(prepared, at_once=inf)
    later = stack.predict_prepared(prepared, at_once=0)
    assert is_lazy(copy.deepcopy(later)["z"])
    xr.testing.assert_identical(copy.deepcopy(later), whole)
    sent = pickle.loads(pickle.dumps(later.isel(tissue=[0, 2])))
    xr.testing.assert_identical(sent, whole.isel(tissue=[0, 2]))
    assert not is_lazy(sent["z"])
    halves = [later.isel(sample=slice(0, 5)), later.isel(sample=slice(5, 12))]
    joined = xr.concat(
        halves, "sample", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
    xr.testing.assert_identical(joined, whole)
    later.to_netcdf(tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as again:
        np.testing.assert_array_equal(again["upper"], whole["upper"])
    write_prediction(later, tmp_path / "p.zarr")
    with xr.open_zarr(tmp_path / "p.zarr", consolidated=False) as again:
        np.testing.assert_array_equal(again["lower"], whole["lower"])
    for ending in (".csv", ".parquet"):
        for name, prediction in (("now", whole), ("later", later)):
            write_prediction(prediction, tmp_path / f"{name}{ending}")
        assert (tmp_path / f"now{ending}").read_bytes() == (
            tmp_path / f"later{ending}"
        ).read_bytes()


CUTS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "a tissue": lambda z: z.isel(tissue=1),
    "some genes of a sample": lambda z: z.isel(tissue=1, sample=[4], gene=[0, 2, 3]),
    "a slice, turned": lambda z: z.isel(tissue=[1], gene=slice(1, 9, 2)).transpose(),
    "places one by one": lambda z: z.isel(tissue=1).isel(
        sample=xr.DataArray([3, 0], dims="place"), gene=xr.DataArray([0, 7], dims="place")
    ),
    "one value, turned": lambda z: z.transpose().isel(tissue=1, sample=2, gene=5),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_that_is_sent_is_all_that_is_computed_and_sent(
    name: str, counting: Predictor, prepared: Prepared
) -> None:
    cut = CUTS[name]
    expected = cut(counting.predict_prepared(prepared, at_once=inf)["z"])
    later = counting.predict_prepared(prepared, at_once=0)["z"]
    tissue = str(later["tissue"].values[1])
    decoded(counting).clear()
    packed = pickle.dumps(cut(later))
    assert {target for target, *_ in decoded(counting)} == {tissue}
    sent = pickle.loads(packed)
    assert not is_lazy(sent)
    xr.testing.assert_identical(sent, expected)
    assert len(packed) <= len(pickle.dumps(expected)) + 200


@pytest.mark.usefixtures("as_if_wide")
def test_writing_decodes_each_tissue_of_a_block_once(
    counting: Predictor, prepared: Prepared
) -> None:
    prediction = counting.predict_prepared(prepared, at_once=0)
    decoded(counting).clear()
    n_tissues = prediction.sizes["tissue"]
    blocks = blocks_in(prediction, n_bytes=16 * 4 * n_tissues * N_GENES)
    sizes = []
    for block in blocks:
        assert not is_lazy(block["z"])
        sizes.append(block.sizes["sample"])
    assert sum(sizes) == 12
    assert len(decoded(counting)) == len(sizes) * (n_tissues - 1)  # the first is cached whole


def test_held_bytes_are_those_of_what_is_held(stack: Predictor, prepared: Prepared) -> None:
    later = stack.predict_prepared(prepared, at_once=0)
    now = stack.predict_prepared(prepared, at_once=inf)
    assert held_bytes(now) == now.nbytes
    shape = now["z"].shape
    small = sum(now[name].nbytes for name in (*now.coords, "found", "used_age_sex"))
    small += sum(now[f"distance_{when}"].nbytes for when in ("before", "after"))
    # Its decoder once, not once a variable: at most mean and error of all tissues are cached.
    assert held_bytes(later) == small + prepared.aligned.z.nbytes + 2 * now["z"].nbytes
    assert held_bytes(later.sel(tissue="Lung")) <= held_bytes(later)
    # A hundred samples at full width: a page's worth, where the values are 1.5 GB.
    assert prediction_bytes(100, 48, 19_291) < 50e6
    assert prediction_bytes(*shape) == 16 * np.prod(shape)


@dataclass(frozen=True)
class Broken(Around):
    """A method that goes wrong in one tissue: its mean is not finite, or it has no interval."""

    how: str

    def seen(self, target: str, result: PredictedProfiles) -> PredictedProfiles:
        if target != "Lung":
            return result
        mean = np.array(result.mean)
        mean[-1, -1] = {"nan": np.nan, "large": 1e6, "plain": 0}[self.how]
        return replace(result, mean=mean, sd=None if self.how == "plain" else result.sd)


@pytest.mark.parametrize("how", ["nan", "large", "plain"])
def test_numbers_that_are_none_are_refused_when_they_are_seen(
    stack: Predictor, prepared: Prepared, how: str, tmp_path: Path
) -> None:
    method = Broken(stack.artefact.method, how)
    predictor = Predictor(replace(stack.artefact, method=method))  # type: ignore[arg-type]
    targets = ["Liver", "Lung"]
    later = predictor.predict_prepared(prepared, targets, at_once=0)
    later.sel(tissue="Liver").load()
    seen = {"nan": "z", "large": "expression", "plain": "lower"}[how]
    words = "no interval for Lung" if how == "plain" else "numbers for Lung that are not finite"
    with pytest.raises(ArtefactError, match=words):
        later[seen].sel(tissue="Lung").to_numpy()
    with pytest.raises(ArtefactError, match=words):
        write_prediction(later, tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []
    if how != "plain":  # a small prediction leaves intervals out where one is missing
        with pytest.raises(ArtefactError, match=words):
            predictor.predict_prepared(prepared, targets)


@pytest.mark.usefixtures("as_if_wide")
def test_own_cohorts_and_places_in_the_reference_read_what_they_show(
    counting: Predictor, prepared: Prepared, cohort: ad.AnnData
) -> None:
    rows = np.flatnonzero(cohort.obs["tissue"] == BLOOD)[:12]
    table, artefact = cohort[rows].to_df(), counting.artefact
    prediction = counting.predict_prepared(prepared, at_once=0)
    whole = counting.predict_prepared(prepared, at_once=inf)
    gene = prediction["gene"].to_numpy()[4]
    decoded(counting).clear()
    placed = on_reference_scale(prediction, prepared, artefact)
    own = OwnCohort.of(prediction, prepared, artefact, table)
    assert decoded(counting) == []
    placed_whole = on_reference_scale(whole, prepared, artefact)
    got = placed.sel(gene=gene).transpose("tissue", "sample")
    code = tissue_codes(cohort)[rows][0]
    expected = artefact.method.scaler.inverse(prepared.aligned.z, int(code))
    np.testing.assert_allclose(placed_whole[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(got, placed_whole.sel(gene=gene).T, rtol=1e-5)
    np.testing.assert_allclose(
        placed_whole.isel(tissue=slice(1, None)), whole["expression"], rtol=0
    )
    assert {(samples, genes) for _, samples, genes in decoded(counting)} == {(12, 1)}
    decoded(counting).clear()
    own.log2("Lung")
    assert decoded(counting) == [("Lung", 12, N_GENES)]
