"""Resources that all sessions share: models on disk, each loaded once a server."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path

import pandas as pd
import streamlit as st

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.model_shelf import ModelShelf
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.errors import MTMError
from mtm_core.escaping import plain, plain_message
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.example import (
    SIMULATED_METADATA,
    SIMULATED_TABLE,
    Example,
    simulate_example,
)
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import shared_budget
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import (
    DEFAULT_MODEL,
    bundled_models,
    find_model,
    installed_models,
)
from mtm_core.places import SAMPLES
from mtm_core.workflows.comparisons import ReferenceAssociations
from mtm_core.workflows.model_tables import (
    StudyTables,
    associations_of,
    card_of,
    evaluation_of,
    history_of,
    studies_of,
)
from mtm_core.workflows.server_limits import max_models

EXAMPLE = SAMPLES / "blood_tpm.tsv"
"""Blood profiles of simulated people; the other tables beside it are of the same people."""
EXAMPLE_METADATA = EXAMPLE.with_name("metadata.tsv")
"""Their groups, age and sex."""
MODEL_VARIABLE = "MTM_MODEL"
"""Environment variable that names another model: a bundled or installed one, or a folder."""
CHOSEN_MODEL = "mtm_model"
"""Under which Streamlit's session state has the model that the user chose."""


@dataclass(frozen=True)
class ServedModel:
    """A model and what is known about it.

    Attributes
    ----------
    predictor
        The model.
    evaluation
        How it and other methods did on held-out donors; ``None`` if it was not evaluated.
    card
        The model card, Markdown.
    history
        Its training, one row an epoch; ``None`` if it was not stored.
    associations
        Associations of traits with expression in its cohort; ``None`` if they were not computed.
    studies
        Studies of preserved associations; each ``None`` if it was not made.
    """

    predictor: Predictor
    evaluation: EvaluationTables | None
    card: str
    history: pd.DataFrame | None
    associations: ReferenceAssociations | None = None
    studies: StudyTables = field(default_factory=StudyTables)

    @cached_property
    def genes(self) -> GeneNames:
        """Its genes, by what they are shown as."""
        return GeneNames.of(self.predictor.artefact.genes)

    @classmethod
    def load(cls, folder: Path) -> ServedModel:
        """Load everything that ``folder`` holds.

        Raises
        ------
        ArtefactError, InputFileError
            If the model, its evaluation, associations or studies are damaged.
        """
        files = ModelFolder.open(folder)
        artefact = Artefact.load(files)
        return cls(
            Predictor(artefact),
            evaluation_of(files, artefact),
            card_of(files),
            history_of(files),
            associations_of(files, artefact),
            studies_of(files, artefact),
        )


@cache
def _shelf() -> ModelShelf[ServedModel]:
    return ModelShelf(ServedModel.load, max_models(), shared_budget())


def default_model() -> str:
    """Return the model that this server was started with: a name, or a folder."""
    return os.environ.get(MODEL_VARIABLE, DEFAULT_MODEL)


def choosable_models() -> tuple[str, ...]:
    """List what a session may choose: the server's own model, bundled and installed ones."""
    return tuple(dict.fromkeys((default_model(), *bundled_models(), *installed_models())))


def chosen_model() -> str:
    """Return the model that this session uses."""
    chosen = st.session_state.get(CHOSEN_MODEL)
    return chosen if chosen in choosable_models() else default_model()


def served_model() -> ServedModel:
    """Return the model that this session uses, the server's own where it has chosen none.

    Where the chosen one cannot be loaded, that is said, and the server's own is used; where that
    cannot be either, the page ends.
    """
    chosen = chosen_model()
    if chosen != default_model():
        try:
            return _loaded(chosen)
        except MTMError as error:
            del st.session_state[CHOSEN_MODEL]
            st.warning(
                f"{plain(chosen)} cannot be used: {plain_message(error)} The server's own model is"
                " in use again.",
                icon=":material/warning:",
            )
    try:
        return _loaded(default_model(), stays=True)
    except MTMError as error:
        st.error(plain_message(error))
        st.stop()


def load_ahead() -> None:
    """Load the server's own model, and what all sessions have of it, before there is one.

    Of a model of all genes that takes two seconds. Where it cannot be loaded nothing is said: the
    first page does.
    """
    try:
        model = _shelf().get(find_model(default_model()), stays=True)
        model.genes.find(next(iter(model.genes)))  # prepares the names that are searched
        example_for(model.predictor)
    except MTMError:
        return


def _loaded(name: str, *, stays: bool = False) -> ServedModel:
    folder = find_model(name)
    if _shelf().has(folder):
        return _shelf().get(folder, stays=stays)
    with st.spinner("Loading the model…"):
        return _shelf().get(folder, stays=stays)


@dataclass(frozen=True)
class NamedExample:
    """Simulated samples and the names of their files."""

    example: Example
    table_name: str
    metadata_name: str


def example_for(predictor: Predictor) -> NamedExample:
    """Return the example that fits a model: the bundled one where it has its genes, else a new one.

    A new one is drawn from the model's reference, the same each time.
    """
    sha256 = predictor.artefact.sha256
    if sha256 not in _examples:
        _examples[sha256] = _make_example(predictor)
        _digests[hashlib.sha256(_examples[sha256].example.table).hexdigest()] = sha256
    return _examples[sha256]


def example_in_words(predictor: Predictor) -> str:
    """Say what the example is, after "The example is"."""
    named = example_for(predictor)
    groups = pd.read_csv(BytesIO(named.example.metadata), sep="\t")["group"].value_counts()
    source = "blood" if named.example.source == WHOLE_BLOOD else named.example.source
    made_for = (
        f", simulated for the {len(predictor.artefact.genes):,} genes of this model"
        if named.table_name == SIMULATED_TABLE
        else ""
    )
    return (
        f"{groups.sum()} simulated {plain(source)} profiles{made_for}: {groups['case']} cases and"
        f" {groups['control']} controls: simulated, not real people."
    )


_examples: dict[str, NamedExample] = {}
_digests: dict[str, str] = {}


def _make_example(predictor: Predictor) -> NamedExample:
    if WHOLE_BLOOD in predictor.tissues:
        data = EXAMPLE.read_bytes()
        names = data.split(b"\n", 1)[0].decode().split("\t")[1:]
        if predictor.genes.match(names).found.all():
            bundled = Example(data, EXAMPLE_METADATA.read_bytes(), WHOLE_BLOOD)
            return NamedExample(bundled, EXAMPLE.name, EXAMPLE_METADATA.name)
    return NamedExample(simulate_example(predictor.artefact), SIMULATED_TABLE, SIMULATED_METADATA)


@cache
def _bundled_files() -> frozenset[str]:
    files = EXAMPLE.parent.glob(f"{EXAMPLE.stem.split('_')[0]}_*")
    return frozenset(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def is_simulated(sha256: str) -> bool:
    """Tell whether a table holds samples that the program brings or made: simulated ones."""
    return sha256 in _bundled_files() or sha256 in _digests
