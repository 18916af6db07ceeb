"""The comparisons of one run, tissue by tissue: each is decoded, analysed, written and freed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.data.notes import name_some
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.inference.prepared import Prepared
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.against_reference import all_agreements, reference_trait
from mtm_core.studies.count_models import compare_counts, rounded_in_words
from mtm_core.studies.design import StudyDesign
from mtm_core.studies.enrichment import EnrichmentOptions
from mtm_core.studies.gene_models import model_genes
from mtm_core.studies.own_cohort import MEASURED, PREDICTED, OwnCohort
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.resampled_effects import GroupEffects, TraitEffects
from mtm_core.studies.sample_labels import shuffled
from mtm_core.workflows.compare_designs import FDR, DesignCounts
from mtm_core.workflows.comparisons import (
    design_in_tissue,
    groups_in_tissue,
    sets_in_tissue,
    trait_in_tissue,
)
from mtm_core.workflows.own_samples import Say, StepProgress
from mtm_core.workflows.table_parts import TableInParts


@dataclass(frozen=True)
class CohortComparisons:
    """The samples in every tissue, and what is known of them and of the model.

    Tissues are looked at one after the other: each is decoded, analysed, written and freed.
    """

    samples: OwnCohort
    held_out: Callable[..., pd.DataFrame]
    reference: ReferenceAssociations | None
    metadata: SampleMetadata
    seed: int | None
    say: Say
    on_progress: StepProgress

    def groups(
        self, labels: pd.Series, case: str, control: str, table: TableInParts
    ) -> list[pd.DataFrame]:
        """Write the comparison of two groups; say how it agrees with the reference's contrasts."""
        dealt, counts, agreed = self._deal(labels), TestCounts(), []
        for tissue in self._tissues("Comparing groups"):
            compared = groups_in_tissue(
                self.samples,
                tissue,
                dealt,
                case=case,
                control=control,
                accuracy=self.held_out(tissues=[tissue]),
            )
            counts.add(compared)
            table.add(compared)
            if self.reference is not None:
                agreement = all_agreements(
                    compared,
                    GroupEffects(self.samples.cut([tissue]), dealt, case, control),
                    self.reference,
                    list(self.reference.traits),
                    own_column="log2_ratio",
                    reference_column="effect",
                )
                agreed.append(agreement.assign(yours=f"{case} against {control}"))
        self.say(f"{case} against {control}: {counts.in_words()}")
        return [part for part in agreed if len(part)]

    def sets(
        self,
        labels: pd.Series,
        case: str,
        control: str,
        collections: Sequence[GeneSets],
        options: EnrichmentOptions,
        table: TableInParts,
    ) -> None:
        """Write the tests of gene sets between two groups; say how many are found."""
        dealt, counts = self._deal(labels), {MEASURED: [0, 0], PREDICTED: [0, 0]}
        too_few: list[str] = []
        for tissue in self._tissues("Testing gene sets"):
            found = sets_in_tissue(
                self.samples,
                tissue,
                dealt,
                collections,
                case=case,
                control=control,
                accuracy=self.held_out(tissues=[tissue]),
                options=options,
            )
            if found.empty:
                too_few.append(tissue)
                continue
            table.add(found)
            for origin, count in counts.items():
                rows = found[found["origin"] == origin]
                count[0] += int((rows["fdr"] <= FDR).sum())
                count[1] += len(rows)
        parts = [f"{n} of {total:,} gene sets {origin}" for origin, (n, total) in counts.items()]
        self.say(
            f"{case} against {control}: at FDR {FDR:g}, {' and '.join(parts)} differ, allowing for"
            " the correlation of their genes."
        )
        if too_few:
            self.say(
                f"No gene sets are tested in {name_some(too_few)}: too few of the people who have"
                " it are in the two groups.",
                level="warning",
            )

    def trait(
        self,
        name: str,
        values: pd.Series,
        meaning: str,
        covariates: pd.DataFrame | None,
        table: TableInParts,
    ) -> list[pd.DataFrame]:
        """Write the correlations with a trait; of age and sex, say how they agree."""
        dealt, counts, agreed = self._deal(values), TestCounts(), []
        known = reference_trait(self.metadata, name)
        for tissue in self._tissues(f"Correlating with {name}"):
            accuracy = self.held_out(tissues=[tissue])
            rows = trait_in_tissue(self.samples, tissue, dealt, covariates, accuracy=accuracy)
            counts.add(rows)
            rows = rows.assign(trait=name, trait_is=meaning)
            table.add(rows)
            if self.reference is not None and known in self.reference.traits:
                agreement = all_agreements(
                    rows,
                    TraitEffects(self.samples.cut([tissue]), dealt, covariates),
                    self.reference,
                    [known],
                    own_column="rho",
                    reference_column="rho",
                )
                agreed.append(agreement.assign(yours=name))
        self.say(f"{name} ({meaning}): {counts.in_words()}")
        return [part for part in agreed if len(part)]

    def design(self, design: StudyDesign, table: TableInParts) -> None:
        """Write the tests of the contrasts of a design."""
        dealt = design if self.seed is None else design.shuffled(self.seed)
        counts = DesignCounts()
        for tissue in self._tissues("Fitting linear models"):
            accuracy = self.held_out(tissues=[tissue])
            compared = design_in_tissue(self.samples, tissue, dealt, accuracy=accuracy)
            counts.add(compared)
            table.add(compared)
        for line in counts.in_words():
            self.say(line)

    def single_genes(self, design: StudyDesign, genes: tuple[str, ...]) -> pd.DataFrame:
        """Fit a design to single genes, in every tissue."""
        dealt = design if self.seed is None else design.shuffled(self.seed)
        self.on_progress("Fitting single genes", 0, 1)
        return model_genes(self.samples, dealt, genes)

    def counts(
        self, design: StudyDesign, table: ExpressionTable, prepared: Prepared
    ) -> pd.DataFrame:
        """Test the contrasts of a design in the measured counts."""
        dealt = design if self.seed is None else design.shuffled(self.seed)
        self.on_progress("Modelling counts", 0, 1)
        found = compare_counts(table, prepared, self.samples.measured.symbols, dealt)
        if found.attrs["n_rounded"]:
            self.say(rounded_in_words(found), level="warning")
        for name, rows in found.groupby("contrast", sort=False):
            n, total = int((rows["fdr"] <= FDR).sum()), int(rows["p"].notna().sum())
            self.say(f"{name}: at FDR {FDR:g}, {n} of {total:,} genes by counts (PyDESeq2).")
        return found

    def _tissues(self, what: str) -> Iterator[str]:
        tissues = self.samples.tissues
        for i, tissue in enumerate(tissues):
            self.on_progress(what, i, len(tissues))
            yield tissue

    def _deal(self, values: pd.Series) -> pd.Series:
        return values if self.seed is None else shuffled(values, self.seed)


@dataclass
class TestCounts:
    """Tests, significant ones and tissues with tests, by origin."""

    by_origin: dict[str, list[int]] = field(
        default_factory=lambda: {MEASURED: [0, 0, 0], PREDICTED: [0, 0, 0]}
    )

    def add(self, table: pd.DataFrame) -> None:
        """Count those of one tissue."""
        for origin, counts in self.by_origin.items():
            rows = table[(table["origin"] == origin) & (table["outcome"] == TESTED)]
            counts[0] += int((rows["fdr"] <= FDR).sum())
            counts[1] += len(rows)
            counts[2] += len(rows) > 0

    def in_words(self) -> str:
        """Say how many genes of how many are significant, measured and predicted."""
        parts = [
            f"{found} of {n:,} tests {origin} ({n_tissues} tissue{'s' * (n_tissues != 1)})"
            for origin, (found, n, n_tissues) in self.by_origin.items()
        ]
        return f"at FDR {FDR:g}, {' and '.join(parts)}."
