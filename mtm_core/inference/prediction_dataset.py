"""The prediction of a table: an ``xarray.Dataset`` with dims (sample, tissue, gene).

- ``z`` (sample, tissue, gene): predicted z-scores against the reference donors of the tissue
- ``expression`` (sample, tissue, gene): the same as linear expression, in ``attrs["unit"]``
- ``lower``, ``upper`` (sample, tissue, gene): the 90 % interval of ``expression``, where the method
  is calibrated (``attrs["interval"]`` says on what)
- ``used_age_sex`` (sample): whether the sample's age and sex were read; ``attrs["covariates"]``
  names what the model reads
- ``found`` (gene): whether the gene was in the table
- ``distance_before``, ``distance_after`` (sample): root mean square of the source z-scores, before
  and after alignment; 1 is a typical reference sample; of several tissues those of the first
- ``is_given`` (sample, given_tissue): of several tissues, which the person was predicted from
- coordinates ``symbol`` (gene); ``gene`` holds gene ids
- ``batch`` (sample): where batches were aligned each by itself
- ``attrs``: model, its SHA-256, source, unit, how samples were aligned, program version

Values that take more than ``AT_ONCE_BYTES`` together are computed when they are read
(:mod:`mtm_core.inference.decoder`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core import __version__
from mtm_core.artefact import Artefact
from mtm_core.inference.decoder import INTERVAL, INTERVAL_LEVEL, Decoder, TissueProgress
from mtm_core.inference.later_samples import alignment_attrs
from mtm_core.inference.on_demand import DIMS, decoded_variables
from mtm_core.inference.profiles import GIVEN_TISSUE, GivenTissue, Profiles
from mtm_core.inference.together import Together, interval_in_words
from mtm_core.methods.covariates import are_known
from mtm_core.methods.protocol import FittedMethod

AT_ONCE_BYTES = 40_000_000
"""A prediction of no more than this is computed whole."""


def value_bytes(n_samples: int, n_tissues: int, n_genes: int) -> int:
    """Return what the values of a prediction of this shape take: four float32 for each."""
    return 4 * 4 * n_samples * n_tissues * n_genes


def predict_people(
    artefact: Artefact,
    people: Together,
    targets: Sequence[str],
    phenotypes: pd.DataFrame | None,
    *,
    on_progress: TissueProgress | None = None,
    at_once: float = AT_ONCE_BYTES,
    n_alike: Sequence[int] | None = None,
) -> xr.Dataset:
    """Predict ``targets`` for people made ready, and describe how in the dataset.

    Parameters
    ----------
    phenotypes
        Exact age and sex of each person; ``None`` if none are known.
    on_progress, at_once
        As in :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
    n_alike
        Number of people who give the same tissues as each, counted in what is said of
        intervals; ``None`` if each is one.

    Raises
    ------
    ArtefactError
        If the model gives numbers that are not finite.
    """
    sources, first = people.sources, people.tables[0]
    method, n_genes = artefact.method, len(artefact.genes)
    n_samples = len(people.samples)
    given = people.given if len(sources) > 1 else (GivenTissue(sources[0], first.aligned.z),)
    decoder = Decoder(Profiles(method, given, phenotypes), targets, artefact.name)
    values: Mapping[str, Any]
    if value_bytes(n_samples, len(targets), n_genes) <= at_once:
        arrays, calibrated_from = decoder.decode_all(on_progress)
        values = {name: (DIMS, array) for name, array in arrays.items()}
    else:
        if on_progress is not None:
            on_progress(0, 1)
        calibrated_from = decoder.calibrated_from
        names = ("z", "expression", *(() if calibrated_from is None else INTERVAL))
        values = decoded_variables(decoder, names)
    is_given = ((DIMS[0], GIVEN_TISSUE), people.is_given)
    return xr.Dataset(
        {
            **values,
            "used_age_sex": ("sample", are_known(phenotypes, method.covariates, n_samples)),
            **first.aligned.batch_variable(people.rows[0]),
            "found": ("gene", people.found),
            "distance_before": ("sample", people.distance("distance_before")),
            "distance_after": ("sample", people.distance("distance_after")),
            **({"is_given": is_given} if len(sources) > 1 else {}),
        },
        coords={
            "sample": list(people.samples),
            "tissue": list(targets),
            "gene": artefact.genes.index.to_numpy().astype(str),
            **({GIVEN_TISSUE: list(sources)} if len(sources) > 1 else {}),
            "symbol": ("gene", artefact.genes["symbol"].to_numpy().astype(str)),
        },
        attrs={
            "model": artefact.name,
            "model_sha256": artefact.sha256,
            "method": method.name,
            "source": first.source,
            **people.attrs,
            "input_unit": first.unit,
            "covariates": ", ".join(method.covariates),
            "unit": artefact.unit,
            "alignment": first.aligned.how,
            **alignment_attrs(first.alignment, from_saved=first.from_saved),
            "interval": _describe_interval(method, sources, calibrated_from, decoder, n_alike),
            "mtm_version": __version__,
            "use": "For research use, not for diagnosis.",
        },
    )


def _describe_interval(
    method: FittedMethod,
    sources: Sequence[str],
    calibrated_from: str | None,
    decoder: Decoder,
    n_alike: Sequence[int] | None,
) -> str:
    """Say what the intervals were calibrated on, and for whom there are some."""
    if len(sources) > 1:
        further = getattr(method, "further", ())
        there = decoder.has_interval
        of_people = there if n_alike is None else np.repeat(there, n_alike)
        return interval_in_words(calibrated_from, further, of_people, INTERVAL_LEVEL)
    if calibrated_from is None:
        return "none"
    words = f"{INTERVAL_LEVEL} %, calibrated on donors held out"
    if not calibrated_from:
        return words
    words += f", from {calibrated_from}"
    if calibrated_from == sources[0]:
        return words
    return words + f"; not from {sources[0]}, for which it was not checked"
