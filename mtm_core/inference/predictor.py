"""Predict other tissues from a user's table.

A prediction is an ``xarray.Dataset`` with dims (sample, tissue, gene):

- ``z`` (sample, tissue, gene): predicted z-scores against the reference donors of the tissue
- ``expression`` (sample, tissue, gene): the same as linear expression, in ``attrs["unit"]``
- ``lower``, ``upper`` (sample, tissue, gene): the 90 % interval of ``expression``, where the method
  is calibrated (``attrs["interval"]`` says on what)
- ``used_age_sex`` (sample): whether the sample's age and sex were read; ``attrs["covariates"]``
names
  what the model reads
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

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core import __version__
from mtm_core.artefact import Artefact
from mtm_core.data.genes.index import GeneIndex, GeneMatch, collapse
from mtm_core.data.layout.taking import check_samples
from mtm_core.data.notes import Note
from mtm_core.data.people.exact_phenotypes import exact_phenotypes_of
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.tables.unit_guess import UnitReading, read_unit
from mtm_core.data.tables.value_summary import GeneColumns, ValueSummary
from mtm_core.data.units import UNIT_TABLE, Unit, UnitChoice, per_million, to_linear
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.alignment import (
    Aligned,
    AlignmentMethod,
    align,
    align_as_before,
    check_coverage,
    distance_before,
    panel_normalise,
)
from mtm_core.inference.batch_parameters import BatchParameters, ReferenceTissue
from mtm_core.inference.decoder import (
    INTERVAL,
    INTERVAL_LEVEL,
    Decoder,
    TissueProgress,
)
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.later_samples import (
    alignment_attrs,
    alignment_for,
    describe_new_genes,
    read_as_before,
)
from mtm_core.inference.models import find_model
from mtm_core.inference.on_demand import DIMS, decoded_variables
from mtm_core.inference.profiles import GIVEN_TISSUE, GivenTissue, Profiles
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import (
    Together,
    check_each_once,
    interval_in_words,
    one_of_each,
    put_together,
)
from mtm_core.inference.unit_distance import (
    SAMPLES_LOOKED_AT,
    describe_far_before,
    describe_nearer,
)
from mtm_core.methods.covariates import CovariateName, are_known
from mtm_core.methods.protocol import tissue_index

Saved = SavedAlignment | str | os.PathLike[str]
"""An alignment, or the file, folder or bundle that holds it."""
AT_ONCE_BYTES = 40_000_000
"""A prediction of no more than this is computed whole."""


@dataclass(frozen=True)
class Prepared:
    """A user's samples as the model reads them, and how they got there.

    Attributes
    ----------
    aligned
        z-scores on the model's genes, with distances from the reference.
    match
        Which of the model's genes the table has.
    samples
        Names, in the table's order.
    source
        Tissue they are of.
    unit
        That the table was read in.
    notes
        Everything that was found and done, in words.
    alignment
        How it was read and aligned, to be saved: what later samples are read by.
    from_saved
        Whether ``alignment`` was a saved one, of earlier samples.
    """

    aligned: Aligned
    match: GeneMatch
    samples: tuple[str, ...]
    source: str
    unit: Unit
    notes: tuple[Note, ...]
    alignment: SavedAlignment
    from_saved: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The one tissue, as of :class:`~mtm_core.inference.together.Together`."""
        return (self.source,)

    @property
    def tables(self) -> tuple[Prepared, ...]:
        """The one table, as of :class:`~mtm_core.inference.together.Together`."""
        return (self,)


@dataclass(frozen=True)
class TableGenes:
    """Genes among a table's columns: the model's, and all that count in judging its unit."""

    match: GeneMatch
    columns: GeneColumns


@dataclass(frozen=True)
class Predictor:
    """A trained model, ready for tables of expression.

    Examples
    --------
    >>> from mtm_core import SAMPLES, Predictor, read_expression
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> prediction = predictor.predict(table, source="Whole Blood", targets=["Lung", "Liver"])
    >>> dict(prediction.sizes)
    {'sample': 40, 'tissue': 2, 'gene': 59}
    """

    artefact: Artefact

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Predictor:
        """Load ``model``: a bundled one's name, or a model's folder.

        Raises
        ------
        ArtefactError
            If there is no such model, or it cannot be used.
        """
        return cls(Artefact.load(find_model(model)))

    @cached_property
    def genes(self) -> GeneIndex:
        """The model's genes."""
        return GeneIndex(self.artefact.genes, self.artefact.reference.mean)

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues that the model knows, each as source or target."""
        return self.artefact.method.tissues

    def targets_of(
        self, source: str | Sequence[str], targets: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """Check a choice of tissues: ``targets``, or all but ``source``, in the order asked for.

        ``source`` is one tissue, or several that the samples are of.

        Raises
        ------
        SelectionError
            If a tissue is unknown or given twice, no target is left, or a target is a source.
        """
        sources = (source,) if isinstance(source, str) else tuple(source)
        unknown = [t for t in (*sources, *(targets or ())) if t not in self.tissues]
        if unknown:
            raise SelectionError.unknown("tissue", unknown, self.tissues)
        check_each_once(sources)
        if targets is None:
            targets = [t for t in self.tissues if t not in sources]
        if not targets:
            raise SelectionError("no target tissue is chosen. Choose at least one.")
        for own in sources:
            if own in targets:
                raise SelectionError(
                    f"{own!r} is {'the' if len(sources) == 1 else 'a'} source; choose other"
                    " tissues as targets."
                )
        return tuple(dict.fromkeys(targets))

    def prepare(
        self,
        table: ExpressionTable | pd.DataFrame,
        *,
        source: str = "Whole Blood",
        unit: UnitChoice = "auto",
        alignment: AlignmentMethod = "auto",
        whole: GeneMoments | None = None,
        reading: UnitReading | None = None,
        batch: pd.Series | None = None,
        alignment_from: Saved | None = None,
    ) -> Prepared:
        """Bring a table to the model's genes, unit and z-scores, without predicting.

        Parameters
        ----------
        table
            As :func:`mtm_core.data.tables.expression.read_expression` gives it, or (samples,
            genes) with
            gene ids, symbols or Entrez ids as columns.
        source
            Tissue that the samples are of.
        unit
            Of the table; ``"auto"`` takes what the values tell
            (:mod:`mtm_core.data.tables.unit_guess`).
        alignment
            ``"cohort"``, ``"robust"``, ``"quantiles"``, ``"none"`` or ``"auto"``: see
            :func:`mtm_core.inference.alignment.align`.
        whole, reading
            Of all samples after :meth:`normalised`, and how all are read, where ``table`` is a part
            of them; ``unit`` is then not looked at.
        batch
            Name of each sample's batch, by sample: each batch is aligned by itself.
        alignment_from
            Read these samples as earlier ones were, by their saved alignment, or by the file or
            folder that holds it; ``alignment`` is then left at ``"auto"``.

        Raises
        ------
        ExpressionError
            If the table is empty, its unit is not clear or cannot be as said, its values are
            centred, it has too few of the model's genes, or rows of a ``DataFrame`` are no samples.
        SelectionError
            If ``source`` is unknown, the batch of a sample is not known, or the saved alignment is
            of another model, tissue or unit.
        InputFileError
            If the saved alignment cannot be read.
        """
        code, artefact = tissue_index(self.tissues, source), self.artefact
        saved = None
        if alignment_from is not None:
            saved = alignment_for(alignment_from, artefact, source, alignment)
        values = table.values if isinstance(table, ExpressionTable) else _checked(table)
        stated = table.stated_unit if isinstance(table, ExpressionTable) else None
        genes = self.match([str(name) for name in values.columns])
        found = genes.match.found
        parameters: tuple[BatchParameters, ...] = ()
        if saved is not None:
            known, parameters = saved.on_genes(artefact.genes.index)
            found = found & known
        check_coverage(genes.match.gene_ids, found)
        is_whole = reading is None
        if reading is None:
            if not isinstance(table, ExpressionTable):
                check_samples(values, self.genes)
            summary = ValueSummary.of(values.to_numpy(dtype=np.float64), genes.columns)
            try:
                reading = (
                    read_unit(summary, unit, self.typical(source), stated)
                    if saved is None
                    else read_as_before(summary, saved, unit, self.typical(source), stated)
                )
            except ExpressionError as error:
                others = table.other_quantities if isinstance(table, ExpressionTable) else ""
                raise ExpressionError(f"{error}{others}") from error
        normalised = self.normalised(values, reading, source, genes)
        scaler, quantiles = artefact.method.scaler, artefact.reference.expression[:, code]
        notes = [*reading.notes, *genes.match.notes]
        if saved is None:
            aligned = align(
                normalised,
                found,
                code,
                scaler,
                alignment,
                unit=reading.unit,
                normalisation=artefact.normalisation,
                whole=whole,
                quantiles=quantiles,
                batch=batch,
            )
        else:
            notes += describe_new_genes(genes.match.found & ~found, genes.match.gene_ids)
            reference = ReferenceTissue(scaler, code, quantiles)
            aligned = align_as_before(normalised, found, reference, parameters, batch=batch)
        notes += aligned.notes
        if is_whole:
            notes += describe_far_before(aligned.distance, aligned.how)
            notes += self.nearer_units(values, reading, source, genes)
        column = "" if batch is None else str(batch.name or "batch")
        return Prepared(
            aligned,
            genes.match,
            tuple(str(name) for name in values.index),
            source,
            reading.unit,
            tuple(notes),
            saved or SavedAlignment.of(aligned, artefact, source, reading, column),
            from_saved=saved is not None,
        )

    def nearer_units(
        self, values: pd.DataFrame, reading: UnitReading, source: str, genes: TableGenes
    ) -> tuple[Note, ...]:
        """Say whether the first samples of ``values`` (samples, ids) lie nearer in another unit.

        See :mod:`mtm_core.inference.unit_distance`.
        """
        first, code = values.iloc[:SAMPLES_LOOKED_AT], tissue_index(self.tissues, source)
        found, scaler = genes.match.found, self.artefact.method.scaler

        def distance_of(other: UnitReading) -> float:
            linear = self.normalised(first, other, source, genes)
            return float(np.median(distance_before(linear, found, code, scaler)))

        return describe_nearer(distance_of, reading)

    def match(self, ids: Sequence[str]) -> TableGenes:
        """Find the model's genes, and all that are genes, among the names of a table's columns."""
        match = self.genes.match(ids)
        return TableGenes(match, GeneColumns.of(ids, match.gene_of))

    def typical(self, source: str) -> NDArray[np.float32]:
        """Return the mean linear expression (G,) of the reference in ``source``."""
        mean: NDArray[np.float32] = self.artefact.reference.mean[tissue_index(self.tissues, source)]
        return mean

    def normalised(
        self, values: pd.DataFrame, reading: UnitReading, source: str, genes: TableGenes
    ) -> pd.DataFrame:
        """Bring ``values`` (samples, ids) to the model's genes and unit, each sample by itself.

        Only values of the model's genes must be such as the unit can have.

        Returns
        -------
        pandas.DataFrame
            (N, G) linear expression, NaN where a gene is missing.

        Raises
        ------
        ExpressionError
            As :meth:`prepare`.
        """
        kind, x = UNIT_TABLE[reading.unit], values.to_numpy(dtype=np.float64)
        floors = reading.floors(x[:, genes.columns.is_gene])
        known = genes.match.gene_of >= 0
        linear = to_linear(values.loc[:, known], reading.unit, floors)
        if self.artefact.normalisation == "none" and reading.to_million:
            possible = np.where(x > kind.high, -np.inf, x) if kind.is_log else x
            totals = genes.columns.totals(
                np.maximum(kind.inverse(possible, floors), 0), repeats=True
            )
            linear = per_million(linear, pd.Series(totals, values.index))
        of_known = replace(genes.match, gene_of=genes.match.gene_of[known])
        on_genes, found = collapse(linear, of_known)
        return panel_normalise(on_genes, found, self.typical(source), self.artefact.normalisation)

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """What of a donor's phenotypes the model reads, where all of it is known."""
        return self.artefact.method.covariates

    def predict_prepared(
        self,
        prepared: Prepared | Together,
        targets: Collection[str] | None = None,
        *,
        phenotypes: pd.DataFrame | None = None,
        on_progress: TissueProgress | None = None,
        at_once: float = AT_ONCE_BYTES,
    ) -> xr.Dataset:
        """Predict ``targets`` (all but the source if ``None``) for samples made ready.

        Parameters
        ----------
        prepared
            Of :meth:`prepare` or :meth:`prepare_tables`.
        targets
            Tissues.
        phenotypes
            Sample names as index and columns ``age`` (years) and ``sex`` ("female", "male", also
            "f" and "m"), NaN where not known; a sample that lacks one of them is predicted from
            expression alone.
        on_progress
            Called with each tissue; of the one step that is left where tissues are decoded later.
        at_once
            Values of no more bytes than this are all computed here, larger ones when they are read
            (:mod:`mtm_core.inference.decoder`).

        Raises
        ------
        ArtefactError
            If the model gives numbers that are not finite; of what is computed when it is read,
            then.
        SelectionError
            As :meth:`targets_of`, and
            :func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes_of`.
        """
        people = prepared if isinstance(prepared, Together) else put_together([prepared])
        sources, first = people.sources, people.tables[0]
        chosen = self.targets_of(sources, targets)
        method, n_genes = self.artefact.method, len(self.artefact.genes)
        n_samples = len(people.samples)
        known = None if phenotypes is None else exact_phenotypes_of(phenotypes, people.samples)
        given = people.given if len(sources) > 1 else (GivenTissue(sources[0], first.aligned.z),)
        decoder = Decoder(Profiles(method, given, known), chosen, self.artefact.name)
        values: Mapping[str, Any]
        if value_bytes(n_samples, len(chosen), n_genes) <= at_once:
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
                "used_age_sex": ("sample", are_known(known, self.covariates, n_samples)),
                **first.aligned.batch_variable(people.rows[0]),
                "found": ("gene", people.found),
                "distance_before": ("sample", people.distance("distance_before")),
                "distance_after": ("sample", people.distance("distance_after")),
                **({"is_given": is_given} if len(sources) > 1 else {}),
            },
            coords={
                "sample": list(people.samples),
                "tissue": list(chosen),
                "gene": self.artefact.genes.index.to_numpy().astype(str),
                **({GIVEN_TISSUE: list(sources)} if len(sources) > 1 else {}),
                "symbol": ("gene", self.artefact.genes["symbol"].to_numpy().astype(str)),
            },
            attrs={
                "model": self.artefact.name,
                "model_sha256": self.artefact.sha256,
                "method": method.name,
                "source": first.source,
                **people.attrs,
                "input_unit": first.unit,
                "covariates": ", ".join(self.covariates),
                "unit": self.artefact.unit,
                "alignment": first.aligned.how,
                **alignment_attrs(first.alignment, from_saved=first.from_saved),
                "interval": self._describe_interval(sources, calibrated_from, decoder),
                "mtm_version": __version__,
                "use": "For research use, not for diagnosis.",
            },
        )

    def _describe_interval(
        self, sources: Sequence[str], calibrated_from: str | None, decoder: Decoder
    ) -> str:
        """Say what the intervals were calibrated on, and for whom there are some."""
        if len(sources) == 1:
            return (
                "none"
                if calibrated_from is None
                else _interval_in_words(calibrated_from, sources[0])
            )
        return interval_in_words(
            calibrated_from,
            getattr(self.artefact.method, "further", ()),
            decoder.has_interval,
            INTERVAL_LEVEL,
        )

    def prepare_tables(
        self,
        tables: Mapping[str, ExpressionTable | pd.DataFrame],
        *,
        unit: UnitChoice | Mapping[str, UnitChoice] = "auto",
        alignment: AlignmentMethod = "auto",
        near_people: bool = False,
        batch: pd.Series | Mapping[str, pd.Series] | None = None,
        alignment_from: Saved | Mapping[str, Saved] | None = None,
    ) -> Together:
        """Bring several tissues of the same people to the model's z-scores, without predicting.

        Parameters
        ----------
        tables
            By tissue, the main one first; each as in :meth:`prepare`. Samples of one person are
            named alike in all.
        unit
            Of all tables, or by tissue.
        alignment
            Of all tables; ``"auto"`` looks at each by itself.
        near_people
            Take names that may be one person's (``P01_blood`` and ``P01_skin``) for the same.
        batch, alignment_from
            As in :meth:`prepare`: of all tables, or by tissue.

        Raises
        ------
        ExpressionError, SelectionError
            As :meth:`prepare` for each table; and if two tables have no person in common.
        """
        one_of_each(tables)
        units = dict.fromkeys(tables, unit) if isinstance(unit, str) else dict(unit)
        prepared = []
        for tissue, table in tables.items():
            saved: Saved | None = (
                alignment_from.get(tissue)
                if isinstance(alignment_from, Mapping)
                else alignment_from
            )
            try:
                prepared.append(
                    self.prepare(
                        table,
                        source=tissue,
                        unit=units.get(tissue, "auto"),
                        alignment=alignment,
                        batch=batch.get(tissue) if isinstance(batch, Mapping) else batch,
                        alignment_from=saved,
                    )
                )
            except ExpressionError as error:
                raise ExpressionError(f"{tissue}: {error}") from error
        return put_together(prepared, near_people=near_people)

    def predict(
        self,
        table: ExpressionTable | pd.DataFrame | None = None,
        *,
        source: str = "Whole Blood",
        targets: Sequence[str] | None = None,
        unit: UnitChoice | Mapping[str, UnitChoice] = "auto",
        alignment: AlignmentMethod = "auto",
        phenotypes: pd.DataFrame | None = None,
        tables: Mapping[str, ExpressionTable | pd.DataFrame] | None = None,
        near_people: bool = False,
        batch: pd.Series | Mapping[str, pd.Series] | None = None,
        alignment_from: Saved | Mapping[str, Saved] | None = None,
    ) -> xr.Dataset:
        """Predict ``targets`` from a table of ``source``, or from ``tables`` of several tissues.

        Parameters
        ----------
        table, source
            One table, and the tissue it is of.
        tables
            In its place: tables of several tissues of the same people, by tissue, as in
            :meth:`prepare_tables`. Who is in some of them alone is predicted from those.
        targets, unit, alignment, phenotypes, near_people, batch, alignment_from
            As in :meth:`prepare_tables` and :meth:`predict_prepared`.

        Raises
        ------
        ExpressionError, SelectionError
            As :meth:`prepare`, :meth:`prepare_tables` and :meth:`targets_of`; or if both ``table``
            and ``tables`` are given, or neither.

        Examples
        --------
        >>> from mtm_core import SAMPLES, Predictor, read_expression
        >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
        >>> blood = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes).values
        >>> skin = blood.iloc[:5]  # as if it were skin of the first five
        >>> prediction = predictor.predict(
        ...     tables={"Whole Blood": blood, "Skin - Sun Exposed (Lower leg)": skin},
        ...     targets=["Lung"],
        ...     unit="tpm",
        ... )
        >>> dict(prediction.sizes)
        {'sample': 40, 'tissue': 1, 'gene': 59}
        """
        if (table is None) == (tables is None):
            raise SelectionError(
                "give one table (and the tissue it is of as source), or tables={tissue: table}."
            )
        if table is not None:
            tables = {source: table}
        assert tables is not None
        one_of_each(tables)
        self.targets_of(tuple(tables), targets)
        prepared = self.prepare_tables(
            tables,
            unit=unit,
            alignment=alignment,
            near_people=near_people,
            batch=batch,
            alignment_from=alignment_from,
        )
        return self.predict_prepared(prepared, targets, phenotypes=phenotypes)


def _interval_in_words(calibrated_from: str, source: str) -> str:
    """Say what the intervals were calibrated on, and where these samples are of another tissue."""
    words = f"{INTERVAL_LEVEL} %, calibrated on donors held out"
    if not calibrated_from:
        return words
    words += f", from {calibrated_from}"
    if calibrated_from == source:
        return words
    return words + f"; not from {source}, for which it was not checked"


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    """Hold a table that did not come through the reader to what the reader promises."""
    if table.empty:
        raise ExpressionError(f"the table is empty: {len(table)} samples, {table.shape[1]} genes.")
    try:
        values = table.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"expected numbers, samples in rows: {error}") from error
    if not np.isfinite(values.to_numpy()).all():
        raise ExpressionError("expected finite numbers; the table has missing or infinite values.")
    if values.index.has_duplicates:
        twice = values.index[values.index.duplicated()][0]
        raise ExpressionError(f"sample {twice!r} is duplicated; sample names must be unique.")
    return values


def value_bytes(n_samples: int, n_tissues: int, n_genes: int) -> int:
    """Return what the values of a prediction of this shape take: four float32 for each."""
    return 4 * 4 * n_samples * n_tissues * n_genes
