"""Activity of pathways and transcription factors in a user's samples, tissue by tissue."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS
from mtm_core.data.gene_sets.networks import (
    BUNDLED_NETWORKS,
    find_network,
    taken_names,
)
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import accuracy_in_words, out_of_fold_rho
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.one_sex import describe_left_out
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.reporting.name_lists import two_names
from mtm_core.safe_output import check_output, writing
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.activity import MINIMUM_TARGETS as MINIMUM_TARGETS
from mtm_core.studies.activity import ActivityBackground as ActivityBackground
from mtm_core.studies.activity import ActivityMethod as ActivityMethod
from mtm_core.studies.activity import ActivityScoring as ActivityScoring
from mtm_core.studies.activity import TissueActivity as TissueActivity
from mtm_core.studies.activity import compare_activity as compare_activity
from mtm_core.studies.activity import say_scored
from mtm_core.studies.activity import score_tissue as score_tissue
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.studies.sample_labels import shuffled, two_groups
from mtm_core.studies.sample_sex import sex_of_people
from mtm_core.workflows.batches import check_alignment, tables_at_risk
from mtm_core.workflows.group_pair import counts_in_words, group_option, pair_of_groups
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

FDR = 0.05
"""FDR of the counts that are printed; the tables hold every source."""
COLUMNS = ("tissue", "origin", "sample")
"""First columns of the table of scores; the sources follow."""
NOTE = (
    "Scores of predicted tissues are functions of the measured samples. A score is the t of a"
    " linear model that treats genes as independent, which they are not: compare samples with each"
    " other, and do not read it as a test."
)


@dataclass(frozen=True)
class ActivityOptions(PlainValues):
    """Which samples and network, and where to write the scores.

    Attributes
    ----------
    tables
        Expression tables.
    output
        Folder.
    network
        Name of a bundled network or collection of gene sets, or a file: a table of ``source``,
        ``target`` and ``weight``, or GMT.
    metadata
        What is known of the samples; ``None`` for nothing.
    groups
        ``COLUMN=CASE,CONTROL`` of the metadata, to compare scores; empty for none.
    model
        Name of a model, or a model's folder.
    prediction
        Source, targets, unit, alignment, and how to read the files.
    tx2gene
        Transcripts and their genes.
    further
        Tables of the further tissues of ``prediction``, in order: the people of the first table
        are predicted from them too.
    scoring
        Method, background, and targets that a source needs.
    shuffle
        Seed to shuffle the groups with; ``None`` leaves them as they are.
    table_format
        Format of the tables.
    overwrite
        Replace what is there.
    both_sexes
        Compare people of both sexes in tissues that only one has, too.
    """

    tables: tuple[Path, ...]
    output: Path
    network: str = "progeny"
    metadata: Path | None = None
    groups: str = ""
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    further: tuple[Path, ...] = ()
    scoring: ActivityScoring = field(default_factory=ActivityScoring)
    shuffle: int | None = None
    table_format: TableFormat = "csv"
    overwrite: bool = False
    both_sexes: bool = False

    def inputs(self, folder: Path) -> list[Path]:
        """Name the files that are read; ``folder`` is the model's."""
        bundled = {*BUNDLED_NETWORKS, *BUNDLED_SETS}
        named = [] if self.network in bundled else [Path(self.network)]
        others = [path for path in (self.metadata, self.tx2gene) if path is not None]
        return [*self.tables, *self.further, *named, *others, folder / "model.json"]


@dataclass(frozen=True)
class ScoredActivity:
    """What was written.

    Attributes
    ----------
    output
        Folder.
    tables
        Names of the tables.
    n_samples
        Samples that have scores.
    sources
        One row a tissue and source: ``n_targets``, ``n_in_model``, ``median_rho``.
    differences
        Differences of the groups, one row a tissue and source; empty without groups.
    """

    output: Path
    tables: tuple[str, ...]
    n_samples: int
    sources: pd.DataFrame
    differences: pd.DataFrame


def score_activity(
    options: ActivityOptions, say: Say = say_nothing, on_progress: StepProgress = tell_nobody
) -> ScoredActivity:
    r"""Score pathways and transcription factors in every sample and tissue, and write the tables.

    Parameters
    ----------
    options
        Options of the scoring.
    say
        Called with what was found and done: ``say(text)``, of warnings ``level="warning"``.
    on_progress
        Called with each tissue.

    Raises
    ------
    SelectionError
        If options do not fit each other, the model or the files.
    InputFileError, ExpressionError, ArtefactError
        If a table, the network, the metadata or the model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mtm_core import SAMPLES, ActivityOptions, ActivityScoring, score_activity
    >>> _ = Path("own.tsv").write_text(
    ...     "source\ttarget\tweight\nrepair\tMLH1\t1\nrepair\tMSH2\t1\nrepair\tMSH6\t2\n"
    ... )
    >>> scored = score_activity(
    ...     ActivityOptions(
    ...         SAMPLES / "blood_tpm.tsv",
    ...         "activity",
    ...         network="own.tsv",
    ...         scoring=ActivityScoring(background="all", minimum_targets=3),
    ...     )
    ... )
    >>> scored.n_samples, len(scored.sources)
    (40, 49)
    """
    folder = find_model(options.model)
    inputs = options.inputs(folder)
    check_output(options.output, overwrite=options.overwrite, inputs=inputs, folder=True)
    check_alignment(options.prediction, options.metadata)
    check_further(options)
    if options.groups and options.metadata is None:
        raise SelectionError("--groups names a column of the metadata: give --metadata too.")
    if options.shuffle is not None and not options.groups:
        raise SelectionError("--shuffle shuffles the groups: give --groups too.")
    column, text = group_option(options.groups) if options.groups else ("", "")
    check_there(input=options.tables, **{"and": options.further})
    check_files(metadata=options.metadata, tx2gene=options.tx2gene)
    further_batches = [one.batch for one in options.prediction.further]
    network = find_network(options.network)
    taken_names(network, COLUMNS)
    if options.metadata is not None:
        check_metadata(
            options.metadata,
            options.prediction.metadata,
            columns=sorted({options.prediction.batch, *further_batches} - {""}),
            group=column,
            levels=(lambda known: two_names(text, known)) if column else None,
        )
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    evaluation = evaluation_of(files, predictor.artefact)
    given = options.prediction.sources
    chosen = predictor.targets_of(given, options.prediction.targets)
    matched = network.match(predictor.genes)
    say(matched.in_words())
    own = read_own_samples(options, predictor, say)
    read, prepared = own.table, own.prepared
    pair, labels, sex = None, None, None
    if options.groups and options.metadata is not None:
        known = read_known(options.metadata, prepared.samples, options.prediction.metadata, say)
        say_notes(tables_at_risk(own.people, known), say)
        pair = pair_of_groups(known, column, text)
        labels = two_groups(known.groups(pair[0]), pair[1], pair[2])
        say(counts_in_words(known.groups(pair[0]), pair[1], pair[2]))
        sex = sex_of_people(read, prepared, known.phenotypes()["sex"])
        say_notes(describe_left_out(chosen, sex, both_sexes=options.both_sexes), say)
        sex = None if options.both_sexes else sex
        labels = labels if options.shuffle is None else shuffled(labels, options.shuffle)
    prediction = own.predicted(predictor, chosen, say)
    method = predictor.artefact.method.name
    if options.further:
        say(accuracy_in_words(evaluation, method, given, chosen))
    parts, differences, written = [], [], ["scores", "sources"]
    with writing(
        options.output,
        overwrite=options.overwrite,
        inputs=inputs,
        folder=True,
        kind="activity scores",
    ) as place:
        path = place / f"scores.{options.table_format}"
        with TableInParts(path, options.table_format) as table:
            tissues = (prepared.source, *chosen)
            for i, tissue in enumerate(tissues):
                on_progress("Scoring activity", i, len(tissues))
                part = score_tissue(
                    *(prediction, prepared, tissue, matched),
                    rho_of(evaluation, method, given, tissue),
                    options.scoring,
                )
                table.add(scores_table(part))
                if pair is not None and labels is not None and part.n_scored:
                    compared = compare_activity(
                        part, labels, case=pair[1], control=pair[2], sex=sex
                    )
                    differences.append(with_part(part.sources.join(compared, how="right"), part))
                parts.append(replace(part, scores=part.scores.iloc[:1]))
        say(say_scored(parts))
        if not any(part.n_scored for part in parts):
            raise SelectionError(
                f"no source has {options.scoring.minimum_targets} targets among the genes"
                " used for scoring. Ask for fewer (--min-targets), or score on every gene of the"
                " model (--background all)."
            )
        sources = pd.concat([with_part(part.sources, part) for part in parts], ignore_index=True)
        _write(place, "sources", sources, options)
        found = pd.concat(differences, ignore_index=True) if differences else pd.DataFrame()
        if pair is not None and len(found):
            written.append("differences")
            _write(place, "differences", found, options)
            for line in found_in_words(found, pair[1], pair[2]):
                say(line)
        settings = {
            **{key: str(value) for key, value in prediction.attrs.items()},
            "network": network.name,
            "network_sha256": network.digest,
            **asdict(options.scoring),
            "groups": options.groups,
            "shuffled_with_seed": options.shuffle,
            "both_sexes": options.both_sexes,
            "options": options.prediction.as_used(prediction).to_json(),
            "n_samples": len(prepared.samples),
            "values": "z-scores: distance from the mean of the reference in the tissue, in SDs",
            "note": NOTE,
        }
        write_settings(settings, place)
    return ScoredActivity(options.output, tuple(written), len(prepared.samples), sources, found)


def rho_of(
    evaluation: EvaluationTables | None, method: str, sources: tuple[str, ...], tissue: str
) -> pd.Series | None:
    """Return out-of-fold pooled rho of ``tissue`` by gene id; ``None`` without an evaluation."""
    source = sources[0] if len(sources) == 1 else sources
    known = out_of_fold_rho(evaluation, method, source, tissues=[tissue])["rho_pooled"]
    return None if known.empty else known.droplevel("tissue")


def scores_table(part: TissueActivity) -> pd.DataFrame:
    """Return the scores of a tissue with ``COLUMNS`` before them."""
    table = part.scores.reset_index()
    table.insert(0, "origin", part.origin)
    table.insert(0, "tissue", part.tissue)
    return table[[*COLUMNS, *part.scores.columns]]


def with_part(table: pd.DataFrame, part: TissueActivity) -> pd.DataFrame:
    """Put the tissue and its origin before a table by source."""
    table = table.rename_axis("source").reset_index()
    table.insert(0, "origin", part.origin)
    table.insert(0, "tissue", part.tissue)
    return table


def found_in_words(differences: pd.DataFrame, case: str, control: str) -> list[str]:
    """Say how many sources differ between the groups, measured and predicted."""
    parts = []
    for origin, rows in differences.groupby("origin", sort=False):
        tested = rows[rows["outcome"] == TESTED]
        n_tissues = tested["tissue"].nunique()
        parts.append(
            f"{int((tested['fdr'] <= FDR).sum())} of {len(tested):,} scores {origin}"
            f" ({n_tissues} tissue{'s' * (n_tissues != 1)})"
        )
    return [f"{case} against {control}: at FDR {FDR:g}, {' and '.join(parts)} differ."]


def _write(place: Path, name: str, table: pd.DataFrame, options: ActivityOptions) -> None:
    form = options.table_format
    with TableInParts(place / f"{name}.{form}", form) as written:
        written.add(table)
