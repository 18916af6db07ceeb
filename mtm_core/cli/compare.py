"""``mtm compare``: groups and traits of a user's samples, in blood and in predicted tissues."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from mtm_core.artefact import Artefact
from mtm_core.cli.checks import check_metadata, check_there
from mtm_core.cli.metadata_options import (
    AgeColumnOption,
    MetadataSheetOption,
    NearNamesOption,
    SexCodesOption,
    SexColumnOption,
    UnknownOption,
    metadata_options,
    read_known,
)
from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import (
    AlignmentOption,
    LeaveOutOption,
    ModelOption,
    NumbersOption,
    QuantityOption,
    SheetOption,
    SourceOption,
    StrandOption,
    TablesArgument,
    TakeBackOption,
    TargetsOption,
    TranscriptsOption,
    UnitOption,
    read_samples,
    reading_options,
    targets_option,
)
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.metadata import SampleMetadata
from mtm_core.errors import SelectionError
from mtm_core.escaping import in_cells
from mtm_core.evaluation.predictability import held_out_rho
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.name_lists import split_column, split_names, two_names
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.safe_output import check_output, writing
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.against_reference import all_agreements, reference_trait
from mtm_core.studies.beside_model import associations_of, evaluation_of
from mtm_core.studies.own_cohort import (
    MEASURED,
    PREDICTED,
    OwnCohort,
    compare_groups,
    correlate_trait,
    with_accuracy,
)
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.resampled_effects import GroupEffects, TraitEffects
from mtm_core.studies.sample_labels import covariate_numbers, shuffled, trait_numbers, two_groups

TableFormat = Literal["csv", "parquet"]
FDR = 0.05
"""Of the counts that are printed; the tables hold every gene."""


def compare_command(
    given: TablesArgument,
    metadata: Annotated[
        Path,
        typer.Option(help="What is known of the samples, one a row: csv, tsv, xlsx or parquet."),
    ],
    output: Annotated[Path, typer.Option(help="Folder to write the tables into.")],
    groups: Annotated[
        str,
        typer.Option(
            help="Groups to compare, as COLUMN=CASE,CONTROL of the metadata. A name with a comma or"
            " an equals sign goes in double quotes."
        ),
    ] = "",
    traits: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of numbers or two groups to correlate, comma-separated or repeated."
        ),
    ] = None,
    covariates: Annotated[
        list[str] | None,
        typer.Option(help="Columns to regress out of the traits, comma-separated or repeated."),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    source: SourceOption = WHOLE_BLOOD,
    targets: TargetsOption = None,
    unit: UnitOption = "auto",
    alignment: AlignmentOption = "auto",
    take_back: TakeBackOption = None,
    leave_out: LeaveOutOption = None,
    numbers: NumbersOption = "auto",
    quantity: QuantityOption = "",
    sheet: SheetOption = "",
    strand: StrandOption = "auto",
    tx2gene: TranscriptsOption = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    shuffle: Annotated[
        int | None,
        typer.Option(help="Seed to shuffle the labels with: what is found then is chance.", min=0),
    ] = None,
    table_format: Annotated[TableFormat, typer.Option("--format", help="Of the tables.")] = "csv",
    overwrite: OverwriteOption = False,
) -> None:
    """Compare groups of your samples, or correlate them with traits, tissue by tissue.

    The measured source, with every gene of your table and as you measured it, and the predicted
    tissues stand side by side in each table, with the held-out accuracy of every predicted gene.
    Predictions are functions of the measured samples: they add no
    information to them. They are made from expression alone, whatever else the model can read.

    **Example:** `mtm compare data_samples/blood_tpm.tsv --metadata data_samples/metadata.tsv
    --groups group=case,control --traits age --output compared`
    """
    trait_names, covariate_names = split_names(traits or []), split_names(covariates or [])
    if not groups and not trait_names:
        raise SelectionError(
            "nothing to do: give --groups COLUMN=CASE,CONTROL or --traits COLUMN, or both."
        )
    asked = _group_option(groups) if groups else None
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    chosen_targets = targets_option(targets)
    options = PredictionOptions(source, chosen_targets, unit, alignment, reading, said)
    folder = find_model(model)
    inputs = [*given, metadata, folder / "model.json", *([] if tx2gene is None else [tx2gene])]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    evaluation = evaluation_of(files, predictor.artefact)
    associations = associations_of(files, predictor.artefact)
    chosen = predictor.targets_of(source, options.targets)
    check_there(input=given, metadata=metadata, tx2gene=tx2gene)
    column, text = asked or ("", "")
    check_metadata(
        metadata,
        said,
        columns=[*trait_names, *covariate_names],
        group=column,
        levels=(lambda known: two_names(text, known)) if asked else None,
    )
    read, prepared = read_samples(given, predictor, options, tx2gene)
    known = read_known(metadata, prepared.samples, said)
    # Wrong names of columns are said before anything is predicted.
    pair = None if asked is None else _pair(known, *asked)
    labels = None if pair is None else two_groups(known.groups(pair[0]), pair[1], pair[2])
    if pair is not None and labels is not None:
        err.print(_counts_in_words(known.groups(pair[0]), pair[1], pair[2]))
    of_traits = {name: trait_numbers(known, name) for name in trait_names}
    for name, (values, _) in of_traits.items():
        if values.isna().all():
            raise SelectionError(f"{name!r} is known of no sample: see the notes on the metadata.")
    others = covariate_numbers(known, covariate_names)
    prediction = predictor.predict_prepared(prepared, chosen)
    samples = OwnCohort.of(prediction, prepared, predictor.artefact, read)
    err.print(f"Measured {source}: {samples.measured.meaning}")
    cohort = _Cohort(
        samples,
        held_out_rho(evaluation, predictor.artefact.method.name, source),
        associations,
        known,
        shuffle,
    )
    tables: dict[str, pd.DataFrame] = {}
    agreements = []
    if pair is not None and labels is not None:
        compared, agreed = cohort.groups(labels, pair[1], pair[2])
        tables["differential_expression"] = compared
        agreements.append(agreed)
    associated = []
    for name, (values, meaning) in of_traits.items():
        rows, agreed = cohort.trait(name, values, meaning, others)
        associated.append(rows)
        agreements.append(agreed)
    if associated:
        tables["trait_associations"] = pd.concat(associated, ignore_index=True)
    if any(len(agreed) for agreed in agreements):
        tables["reference_agreement"] = pd.concat(agreements, ignore_index=True)
    settings = {
        **{key: str(value) for key, value in prediction.attrs.items()},
        "metadata": metadata.name,
        "groups": groups,
        "options": options.as_used(prediction).to_json(),
        "traits": trait_names,
        "covariates": covariate_names,
        "shuffled_with_seed": shuffle,
        "n_samples": len(prepared.samples),
        "measured": samples.measured.meaning,
        "measured_genes": samples.measured.log2.shape[1],
        "fold_change": "mean of log2 values of cases minus that of controls, on the scale named",
        "note": "Predicted tissues are functions of the measured samples.",
    }
    with writing(
        output, overwrite=overwrite, inputs=inputs, folder=True, kind="a comparison"
    ) as place:
        _write(tables, settings, place, table_format)
    err.print(
        f"Wrote {', '.join(tables)} to {output}: {len(prepared.samples)} samples,"
        f" {len(chosen)} predicted tissues beside {source}."
        + (" The labels were shuffled: all of it is chance." if shuffle is not None else "")
        + " For research use, not for diagnosis."
    )


@dataclass(frozen=True)
class _Cohort:
    """The samples in every tissue, and what is known of them and of the model."""

    samples: OwnCohort
    held_out: pd.DataFrame
    reference: ReferenceAssociations | None
    metadata: SampleMetadata
    seed: int | None

    def groups(
        self, labels: pd.Series, case: str, control: str
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Give the comparison of two groups, and how it agrees with the reference's contrasts."""
        dealt = self._deal(labels)
        compared = with_accuracy(
            compare_groups(self.samples, dealt, case=case, control=control), self.held_out
        )
        err.print(f"{case} against {control}: {_in_words(compared)}")
        if self.reference is None:
            return compared, pd.DataFrame()
        agreed = all_agreements(
            compared,
            GroupEffects(self.samples, dealt, case, control),
            self.reference,
            list(self.reference.traits),
            own_column="log2_ratio",
            reference_column="effect",
        )
        return compared, agreed.assign(yours=f"{case} against {control}")

    def trait(
        self, name: str, values: pd.Series, meaning: str, covariates: pd.DataFrame | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Give the correlations with a trait; of age and sex, how they agree with the reference."""
        dealt = self._deal(values)
        rows = with_accuracy(correlate_trait(self.samples, dealt, covariates), self.held_out)
        err.print(f"{name} ({meaning}): {_in_words(rows)}")
        rows = rows.assign(trait=name, trait_is=meaning)
        known = reference_trait(self.metadata, name)
        if self.reference is None or known not in self.reference.traits:
            return rows, pd.DataFrame()
        agreed = all_agreements(
            rows,
            TraitEffects(self.samples, dealt, covariates),
            self.reference,
            [known],
            own_column="rho",
            reference_column="rho",
        )
        return rows, agreed.assign(yours=name)

    def _deal(self, values: pd.Series) -> pd.Series:
        return values if self.seed is None else shuffled(values, self.seed)


def _group_option(option: str) -> tuple[str, str]:
    """Give column and groups of ``COLUMN=CASE,CONTROL``; the groups are read with the metadata."""
    column, text = split_column(option)
    if "," not in text:
        two_names(text)
    return column, text


def _pair(known: SampleMetadata, column: str, text: str) -> tuple[str, str, str]:
    """Give column, cases and controls, as the metadata write them."""
    levels = [str(level) for level in known.groups(column).dropna().unique()]
    case, control = two_names(text, levels)
    return column, known.level(column, case), known.level(column, control)


def _counts_in_words(groups: pd.Series, case: str, control: str) -> str:
    """Say how many samples each group has, and how many take no part."""
    n = {name: int((groups == name).sum()) for name in (case, control)}
    unknown = int(groups.isna().sum())
    others = len(groups) - sum(n.values()) - unknown
    words = f"Comparing {n[case]} samples of {case!r} with {n[control]} of {control!r}"
    return f"{words}; {others} samples are of other groups, {unknown} have no value."


def _in_words(table: pd.DataFrame) -> str:
    """Say how many genes of how many are significant, measured and predicted."""
    parts = []
    for origin in (MEASURED, PREDICTED):
        rows = table[(table["origin"] == origin) & (table["outcome"] == TESTED)]
        n_tissues = rows["tissue"].nunique()
        parts.append(
            f"{int((rows['fdr'] <= FDR).sum())} of {len(rows):,} tests {origin}"
            f" ({n_tissues} tissue{'s' * (n_tissues != 1)})"
        )
    return f"at FDR {FDR:g}, {' and '.join(parts)}."


def _write(
    tables: dict[str, pd.DataFrame],
    settings: dict[str, Any],
    folder: Path,
    table_format: TableFormat,
) -> None:
    for name, table in tables.items():
        if table_format == "csv":
            in_cells(table).to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        else:
            table.to_parquet(folder / f"{name}.parquet", index=False)
    text = json.dumps(settings, indent=1) + "\n"
    (folder / "settings.json").write_text(text, encoding="utf-8")
