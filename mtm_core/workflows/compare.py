"""Compare groups and traits of a user's samples, in the measured and the predicted tissues."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS, find_sets
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import accuracy_in_words, out_of_fold_rho
from mtm_core.inference.blood_cells import COLUMNS
from mtm_core.inference.one_sex import describe_left_out
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.reporting.name_lists import two_names
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.beside_model import associations_of, evaluation_of
from mtm_core.studies.enrichment import EnrichmentOptions
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.sample_labels import covariate_numbers, trait_numbers, two_groups
from mtm_core.workflows.batches import batch_columns, check_alignment, tables_at_risk
from mtm_core.workflows.compare_designs import (
    DesignOptions,
    describe_design,
    design_settings,
    write_design,
)
from mtm_core.workflows.compare_tissues import CohortComparisons
from mtm_core.workflows.composition import (
    composition_of,
    say_composition,
    say_replaced,
    with_composition,
)
from mtm_core.workflows.group_pair import (
    counts_in_words,
    group_option,
    pair_of_groups,
    reference_option,
    references_of,
)
from mtm_core.workflows.input_files import check_files, check_metadata, check_there
from mtm_core.workflows.own_samples import (
    Say,
    StepProgress,
    check_further,
    read_known,
    read_own_samples,
    say_notes,
    say_nothing,
    tell_nobody,
)
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import TableFormat, TableInParts, write_settings


@dataclass(frozen=True)
class CompareOptions(PlainValues):
    """Options of a comparison: samples, groups or traits, and output.

    Attributes
    ----------
    tables, metadata
        Expression tables; metadata of the samples.
    output
        Folder.
    groups
        ``COLUMN=CASE,CONTROL`` of the metadata; empty for none.
    traits, covariates
        Columns of the metadata.
    model
        Name of a model, or a model's folder.
    prediction
        Source, targets, unit, alignment, and how to read the files.
    tx2gene
        Transcripts and their genes.
    shuffle
        Seed to shuffle the labels with; ``None`` leaves them as they are.
    table_format
        Format of the tables.
    overwrite
        Replace what is there.
    linear
        A linear model, with covariates, blocks and contrasts.
    composition
        Estimate the shares of blood cells first: columns ``RNA_share_neutrophils`` and so on, that
        traits, covariates and formulas may name.
    further
        Tables of the further tissues of ``prediction``, in order: the people of the first table
        are predicted from them too.
    both_sexes
        Compare people of both sexes in tissues that only one has, too. By default people of the
        other sex, by the metadata or else by XIST and the genes of the Y chromosome, are left out
        there.
    gene_sets
        Names of bundled collections, or GMT files, to test between the groups.
    enrichment
        Background and sizes of the sets.
    references
        ``COLUMN=GROUP`` of traits and of columns of the formula: the group that is 0, with which
        the others are compared. By default it is found by its name (control, healthy), else it is
        the first in the alphabet; for sex it is males.
    """

    tables: tuple[Path, ...]
    metadata: Path
    output: Path
    groups: str = ""
    traits: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    shuffle: int | None = None
    table_format: TableFormat = "csv"
    overwrite: bool = False
    linear: DesignOptions = field(default_factory=DesignOptions)
    composition: bool = False
    further: tuple[Path, ...] = ()
    both_sexes: bool = False
    gene_sets: tuple[str, ...] = ()
    enrichment: EnrichmentOptions = field(default_factory=EnrichmentOptions)
    references: tuple[str, ...] = ()

    def inputs(self, folder: Path) -> list[Path]:
        """Name the files that are read; ``folder`` is the model's."""
        transcripts = [] if self.tx2gene is None else [self.tx2gene]
        sets = [Path(name) for name in self.gene_sets if name not in BUNDLED_SETS]
        beside = [self.metadata, folder / "model.json", *transcripts, *sets]
        return [*self.tables, *self.further, *beside]


@dataclass(frozen=True)
class Compared:
    """Summary of what was written.

    Attributes
    ----------
    output
        Folder.
    tables
        Names of the tables.
    n_samples, n_tissues
        Samples, and predicted tissues.
    """

    output: Path
    tables: tuple[str, ...]
    n_samples: int
    n_tissues: int


def compare_samples(
    options: CompareOptions,
    say: Say = say_nothing,
    on_progress: StepProgress = tell_nobody,
) -> Compared:
    """Compare groups and correlate traits, tissue by tissue, and write the tables.

    Parameters
    ----------
    options
        Options of the comparison.
    say
        Called with what was found and done: ``say(text)``, of warnings ``level="warning"``.
    on_progress
        Called with each tissue.

    Raises
    ------
    SelectionError
        If options do not fit each other, the model or the files.
    InputFileError, ExpressionError, ArtefactError
        If a table, the metadata or the model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import (
    ...     SAMPLES, CompareOptions, DesignOptions, PredictionOptions, compare_samples
    ... )
    >>> compared = compare_samples(
    ...     CompareOptions(
    ...         SAMPLES / "blood_tpm.tsv",
    ...         SAMPLES / "metadata.tsv",
    ...         output="comparison",
    ...         groups="group=case,control",
    ...         prediction=PredictionOptions(targets=("Lung", "Liver")),
    ...         linear=DesignOptions("group + age"),
    ...     )
    ... )
    >>> compared.n_samples, compared.n_tissues
    (40, 2)
    """
    folder = check_compare(options)
    source, traits = options.prediction.source, options.traits
    asked = group_option(options.groups) if options.groups else None
    collections = [find_sets(given) for given in options.gene_sets]
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    evaluation = evaluation_of(files, predictor.artefact)
    associations = associations_of(files, predictor.artefact)
    sources = options.prediction.sources
    chosen = predictor.targets_of(sources, options.prediction.targets)
    check_there(input=options.tables, **{"and": options.further})
    check_files(metadata=options.metadata, tx2gene=options.tx2gene)
    column, text = asked or ("", "")
    to_come = set(COLUMNS.values()) if options.composition else set()
    check_metadata(
        options.metadata,
        options.prediction.metadata,
        columns=[
            *(name for name in (*traits, *options.covariates) if name not in to_come),
            *batch_columns(options.prediction),
            *(reference_option(one)[0] for one in options.references),
        ],
        group=column,
        levels=(lambda known: two_names(text, known)) if asked else None,
    )
    own = read_own_samples(options, predictor, say)
    read, prepared = own.table, own.prepared
    known = read_known(options.metadata, prepared.samples, options.prediction.metadata, say)
    say_notes(tables_at_risk(own.people, known), say)
    if options.composition:
        composition = composition_of(read, prepared)
        say_composition(composition, say)
        say_replaced(known, say)
        known = with_composition(known, composition)
    # Wrong names of columns are said before anything is predicted.
    pair = None if asked is None else pair_of_groups(known, *asked)
    labels = None if pair is None else two_groups(known.groups(pair[0]), pair[1], pair[2])
    if pair is not None and labels is not None:
        say(counts_in_words(known.groups(pair[0]), pair[1], pair[2]))
    used = {*traits, *options.linear.columns(known)}
    references = references_of(options.references, known, used)
    of_traits = {name: trait_numbers(known, name, references.get(name, "")) for name in traits}
    for name, (values, _) in of_traits.items():
        if values.isna().all():
            raise SelectionError(
                f"no sample has a number in {name!r}. See the notes on the metadata."
            )
    others = covariate_numbers(known, options.covariates)
    design = (
        options.linear.design(known, prepared.unit, references) if options.linear.formula else None
    )
    if design is not None:
        describe_design(design, say)
    prediction = own.predicted(predictor, chosen, say)
    if options.further:
        say(accuracy_in_words(evaluation, predictor.artefact.method.name, sources, chosen))
    samples = OwnCohort.of(
        *(prediction, prepared, predictor.artefact, read), sex=known.phenotypes()["sex"]
    )
    sex = samples.sex
    assert sex is not None
    say_notes(describe_left_out(chosen, sex, both_sexes=options.both_sexes), say)
    if options.both_sexes:
        samples = samples.with_sex(None)
    say(f"Measured {source}: {samples.measured.meaning}")
    with writing(
        options.output,
        overwrite=options.overwrite,
        inputs=options.inputs(folder),
        folder=True,
        kind="a comparison",
    ) as place:
        cohort = CohortComparisons(
            samples,
            partial(
                out_of_fold_rho,
                evaluation,
                predictor.artefact.method.name,
                source if len(sources) == 1 else sources,
            ),
            associations,
            known,
            options.shuffle,
            say,
            on_progress,
        )
        written, agreements = [], []
        if pair is not None and labels is not None:
            written.append("differential_expression")
            with _table(place, written[-1], options) as table:
                agreements += cohort.groups(labels, pair[1], pair[2], table)
            if collections:
                written.append("gene_sets")
                with _table(place, written[-1], options) as table:
                    cohort.sets(labels, pair[1], pair[2], collections, options.enrichment, table)
        if of_traits:
            written.append("trait_associations")
            with _table(place, written[-1], options) as table:
                for name, (values, meaning) in of_traits.items():
                    agreements += cohort.trait(name, values, meaning, others, table)
        if design is not None:
            write_design(design, place)
            if options.linear.genes:  # first: a gene that is not there is soon said
                written.append("gene_models")
                with _table(place, written[-1], options) as table:
                    table.add(cohort.single_genes(design, options.linear.genes))
            written.append("linear_models")
            with _table(place, written[-1], options) as table:
                cohort.design(design, table)
            if options.linear.counts:
                written.append("count_models")
                with _table(place, written[-1], options) as table:
                    table.add(cohort.counts(design, read, prepared))
        if agreements:
            written.append("reference_agreement")
            with _table(place, written[-1], options) as table:
                table.add(pd.concat(agreements, ignore_index=True))
        settings = {
            **{key: str(value) for key, value in prediction.attrs.items()},
            "metadata": options.metadata.name,
            "groups": options.groups,
            "options": options.prediction.as_used(prediction).to_json(),
            "traits": list(traits),
            "covariates": list(options.covariates),
            "references": references,
            "composition": options.composition,
            "linear_model": None if design is None else design_settings(design),
            "gene_sets": [Path(name).name for name in options.gene_sets],
            "background": options.enrichment.background if options.gene_sets else "",
            "genes": list(options.linear.genes),
            "shuffled_with_seed": options.shuffle,
            "both_sexes": options.both_sexes,
            "n_samples": len(prepared.samples),
            "measured": samples.measured.meaning,
            "measured_genes": samples.measured.log2.shape[1],
            "fold_change": "mean of log2 values of cases minus that of controls, on the scale"
            " named",
            "note": "Predicted tissues are functions of the measured samples.",
        }
        write_settings(settings, place)
    return Compared(options.output, tuple(written), len(prepared.samples), len(chosen))


def _table(folder: Path, name: str, options: CompareOptions) -> TableInParts:
    return TableInParts(folder / f"{name}.{options.table_format}", options.table_format)


def check_compare(options: CompareOptions) -> Path:
    """Refuse, before a model is loaded, options with nothing to compare; return the model's folder.

    Raises
    ------
    SelectionError, OutputError, ArtefactError
        As :func:`compare_samples`.
    """
    check_alignment(options.prediction, options.metadata)
    options.linear.check()
    if not options.groups and not options.traits and not options.linear.formula:
        raise SelectionError(
            "nothing to compare. Give --groups COLUMN=CASE,CONTROL, --traits COLUMN or --formula "
            "'group + age', or several of them."
        )
    if options.groups:
        group_option(options.groups)
    elif options.gene_sets:
        raise SelectionError(
            "--gene-sets tests sets between two groups: give --groups COLUMN=CASE,CONTROL too."
        )
    names = [Path(given).name for given in options.gene_sets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SelectionError(
            f"two collections of gene sets are named {twice[0]!r}: their results could not be"
            " distinguished. Give each once, or rename a file."
        )
    check_further(options)
    folder = find_model(options.model)
    check_output(
        options.output,
        overwrite=options.overwrite,
        inputs=options.inputs(folder),
        folder=True,
    )
    return folder
