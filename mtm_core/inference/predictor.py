"""Predict other tissues from a user's table.

The prediction is described in :mod:`mtm_core.inference.prediction_dataset`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.layout.taking import check_samples
from mtm_core.data.people.exact_phenotypes import exact_phenotypes_of
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.data.units import UnitChoice
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.alignment import AlignmentMethod, align, align_as_before
from mtm_core.inference.batch_parameters import BatchParameters, ReferenceTissue
from mtm_core.inference.decoder import TissueProgress
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.genes_found import check_coverage
from mtm_core.inference.later_samples import (
    alignment_for,
    describe_genes_lost,
    describe_new_genes,
    earlier_levels,
    normalised_as_before,
    read_as_before,
)
from mtm_core.inference.model_scale import ModelScale, TableGenes, checked_table
from mtm_core.inference.prediction_dataset import AT_ONCE_BYTES, predict_people
from mtm_core.inference.prepared import Prepared, Saved
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import Together, check_each_once, one_of_each, put_together
from mtm_core.inference.unit_distance import describe_far_before
from mtm_core.inference.unit_reading import UnitReading, read_unit
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.protocol import tissue_index
from mtm_core.model_places import find_model


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
    def scale(self) -> ModelScale:
        """The model's genes, unit and normalisation, to which tables are brought."""
        return ModelScale(self.artefact)

    @property
    def genes(self) -> GeneIndex:
        """The model's genes."""
        return self.scale.genes

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
        if targets is not None:
            targets = (targets,) if isinstance(targets, str) else tuple(targets)
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
        whole: Mapping[str, GeneMoments] | None = None,
        reading: UnitReading | None = None,
        batch: pd.Series | None = None,
        alignment_from: Saved | None = None,
    ) -> Prepared:
        """Bring a table to the model's genes, unit and z-scores, without predicting.

        Parameters
        ----------
        table
            As :func:`mtm_core.data.tables.expression.read_expression` gives it, or (samples, genes)
            with gene ids, symbols or Entrez ids as columns.
        source
            Tissue that the samples are of.
        unit
            Unit of the table; ``"auto"`` takes what the values show
            (:mod:`mtm_core.data.tables.unit_guess`).
        alignment
            ``"cohort"``, ``"robust"``, ``"quantiles"``, ``"none"`` or ``"auto"``: see
            :func:`mtm_core.inference.alignment.align`.
        whole, reading
            Of all samples on the model's scale
            (:meth:`mtm_core.inference.model_scale.ModelScale.normalised`), and how all are read,
            where ``table`` is a part of them; ``unit`` is then not looked at.
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
        values = table.values if isinstance(table, ExpressionTable) else checked_table(table)
        stated = table.stated_unit if isinstance(table, ExpressionTable) else None
        genes = self.scale.match([str(name) for name in values.columns])
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
        scaler, quantiles = artefact.method.scaler, artefact.reference.expression[:, code]
        notes = [*reading.notes, *genes.match.notes]
        if saved is None:
            aligned = align(
                self.scale.normalised(values, reading, source, genes),
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
            if artefact.normalisation != "none":
                notes += describe_genes_lost(known & ~found, genes.match.gene_ids)
            reference = ReferenceTissue(scaler, code, quantiles)
            normalised = normalised_as_before(
                values,
                partial(self._as_before, reading, source, genes, found),
                earlier_levels(reference, self.typical(source), known, parameters),
                batch,
            )
            aligned = align_as_before(normalised, found, reference, parameters, batch=batch)
        notes += aligned.notes
        if is_whole:
            notes += describe_far_before(aligned.distance, aligned.how)
            # Of samples that are read as earlier ones were the distance is of other levels.
            known_distance = aligned.distance["distance_before"] if saved is None else None
            notes += self.scale.nearer_units(
                values, reading, source, genes, distance=known_distance
            )
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

    def _as_before(
        self,
        reading: UnitReading,
        source: str,
        genes: TableGenes,
        found: NDArray[np.bool_],
        values: pd.DataFrame,
        typical: NDArray[np.float64],
    ) -> pd.DataFrame:
        return self.scale.normalised(values, reading, source, genes, only=found, typical=typical)

    def typical(self, source: str) -> NDArray[np.float32]:
        """Return the mean linear expression (G,) of the reference in ``source``."""
        return self.scale.typical(source)

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Phenotypes that the model uses, for samples in which all are known."""
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
            Result of :meth:`prepare` or :meth:`prepare_tables`.
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
        chosen = self.targets_of(people.sources, targets)
        known = None if phenotypes is None else exact_phenotypes_of(phenotypes, people.samples)
        return predict_people(
            self.artefact, people, chosen, known, on_progress=on_progress, at_once=at_once
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
            Unit of all tables, or by tissue.
        alignment
            Alignment of all tables; ``"auto"`` decides for each by itself.
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
