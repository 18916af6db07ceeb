"""The part of a comparison that has a design: linear models with covariates, blocks, contrasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.units import Unit
from mtm_core.errors import SelectionError
from mtm_core.reporting.design_text import design_methods
from mtm_core.reporting.name_lists import split_column, two_names
from mtm_core.studies.contrasts import Asked as Asked
from mtm_core.studies.contrasts import Contrast as Contrast
from mtm_core.studies.count_models import check_counts as check_counts
from mtm_core.studies.count_models import compare_counts as compare_counts
from mtm_core.studies.count_models import need_pydeseq2 as need_pydeseq2
from mtm_core.studies.count_models import rounded_in_words as rounded_in_words
from mtm_core.studies.design import BlockAs as BlockAs
from mtm_core.studies.design import StudyDesign as StudyDesign
from mtm_core.studies.design import make_design as make_design
from mtm_core.studies.formula import Factor as Factor
from mtm_core.studies.formula import Term as Term
from mtm_core.studies.formula import formula_text as formula_text
from mtm_core.studies.formula import parse_formula
from mtm_core.studies.gene_models import check_gene_models
from mtm_core.studies.own_cohort import PREDICTED
from mtm_core.workflows.own_samples import Say
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import write_csv

FDR = 0.05
"""FDR of the counts that are printed; the tables hold every gene."""


@dataclass(frozen=True)
class DesignOptions(PlainValues):
    """A linear model of the samples.

    Attributes
    ----------
    formula
        Terms with + between them (:mod:`mtm_core.studies.formula`); empty for no model.
    contrasts
        Contrasts to test: ``COLUMN=CASE,CONTROL``, or a term. The first term if empty.
    block
        Column of which samples with one value go together; empty for none.
    block_as
        As a random intercept, or as a fixed effect.
    counts
        Test the measured counts by PyDESeq2 too.
    genes
        Ids or symbols of genes to fit one by one too, by statsmodels.
    """

    formula: str = ""
    contrasts: tuple[str, ...] = ()
    block: str = ""
    block_as: BlockAs = "random"
    counts: bool = False
    genes: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what says nothing without a formula.

        Raises
        ------
        SelectionError
            If there is a contrast, a block, a model of counts or a gene, and no formula.
        MissingLibraryError
            If single genes are to be fitted, and statsmodels is not installed.
        """
        options = {
            "--contrast": self.contrasts,
            "--block": self.block,
            "--counts": self.counts,
            "--gene": self.genes,
        }
        given = [name for name, value in options.items() if value]
        if given and not self.formula:
            raise SelectionError(f"{given[0]} is an option of linear models: give --formula too.")
        if self.genes:
            check_gene_models()

    def columns(self, known: SampleMetadata) -> set[str]:
        """Name the columns of the formula.

        Raises
        ------
        SelectionError
            If it cannot be read.
        """
        if not self.formula:
            return set()
        terms = parse_formula(self.formula, [column.name for column in known.columns])
        return {factor.column for term in terms for factor in term}

    def design(
        self, known: SampleMetadata, unit: Unit, references: Mapping[str, str] | None = None
    ) -> StudyDesign:
        """Make the design, of samples that were read in ``unit``.

        ``references``: by column, the group that the others are compared with.

        Raises
        ------
        SelectionError
            As :func:`mtm_core.studies.design.make_design`, and
            :func:`mtm_core.studies.count_models.check_counts`.
        MissingLibraryError
            If counts are to be tested, and PyDESeq2 is not installed.
        """
        design = make_design(
            known,
            self.formula,
            contrasts=[contrast_option(text, known) for text in self.contrasts],
            block=self.block,
            block_as=self.block_as,
            references={
                column: group
                for column, group in (references or {}).items()
                if column in self.columns(known)
            },
        )
        if self.counts:
            check_counts(design, unit)
        return design


def contrast_option(text: str, known: SampleMetadata) -> Asked:
    """Read ``COLUMN=CASE,CONTROL`` or a term; a comma in a group's name needs no quotes.

    Raises
    ------
    SelectionError
        If it is neither.
    """
    if "=" not in text or text.strip() in [column.name for column in known.columns]:
        return text.strip()
    column, groups = split_column(text, name="--contrast")
    plain = column[2:-1] if column.startswith("C(") and column.endswith(")") else column
    levels = known.text(plain).dropna().unique().astype(str).tolist()
    case, control = two_names(groups, levels, name="--contrast")
    return column, case, control


def describe_design(design: StudyDesign, say: Say) -> None:
    """Say what is compared, in how many samples."""
    block = f", {design.block} as a {design.block_as} block" if design.block else ""
    say(f"Linear model {design.formula}{block}: {len(design.samples)} samples are used.")
    for note in design.notes:
        say(str(note), level=note.level)


def write_design(design: StudyDesign, folder: Path) -> None:
    """Write ``design.csv``, the matrix, a row a sample, and ``methods.txt``."""
    (folder / "methods.txt").write_text(design_methods(design), encoding="utf-8")
    write_csv(design.as_table(), folder / "design.csv")


def design_settings(design: StudyDesign) -> dict[str, Any]:
    """Return what a design was, as JSON values."""
    return {
        "formula": design.formula,
        "block": design.block,
        "block_as": design.block_as if design.block else "",
        "n_samples": len(design.samples),
        "dropped": {str(sample): str(column) for sample, column in design.dropped.items()},
        "contrasts": {contrast.name: contrast.meaning for contrast in design.contrasts},
        "coefficients": [str(name) for name in design.matrix.columns],
    }


@dataclass
class DesignCounts:
    """Significant genes of each contrast, measured and predicted."""

    found: dict[str, list[int]] = field(default_factory=dict)

    def add(self, table: pd.DataFrame) -> None:
        """Count those of one tissue."""
        for contrast, rows in table.groupby("contrast", sort=False):
            counts = self.found.setdefault(str(contrast), [0] * 6)
            predicted = rows["origin"] == PREDICTED
            passes = rows["fdr"] <= FDR
            counts[0] += int((passes & ~predicted).sum())
            counts[1] += int((~predicted & rows["fdr"].notna()).sum())
            counts[2] += int((passes & predicted).sum())
            counts[3] += int(((rows["fdr_tissue"] <= FDR) & predicted).sum())
            counts[4] += int((predicted & rows["fdr"].notna()).sum())
            counts[5] += int((predicted & rows["fdr_tissue"].notna()).sum())

    def in_words(self) -> Iterator[str]:
        """Say of each contrast how many genes of how many are significant."""
        for name, (measured, n_measured, predicted, allowing, n, n_known) in self.found.items():
            with_error = f"{allowing} allowing for prediction error."
            if n_known < n:
                with_error = (
                    f"{allowing} of the {n_known:,} whose prediction error is known, allowing for "
                    "it."
                    if n_known
                    else "the prediction error of this model is not known."
                )
            yield (
                f"{name}: at FDR {FDR:g}, {measured} of {n_measured:,} tests measured; of"
                f" {n:,} predicted, {predicted} differ in predicted expression, {with_error}"
            )
