"""How accurate a model's predictions are, from one tissue or from several together."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from mtm_core.evaluation.predictability import out_of_fold_rho
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.studies.beside_model import evaluation_of


def out_of_fold_accuracy(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    sources: str | Sequence[str] = "Whole Blood",
    targets: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return how well each gene of each tissue was predicted in donors who were left out.

    Parameters
    ----------
    model
        Name of a model, or a model's folder.
    sources
        Tissue that is predicted from, or several together: then of the donors who have them all.
    targets
        Tissues; ``None`` is all but the sources.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``tissue`` and ``gene_id``: ``n`` donors, ``rho_by_fold`` and ``rho_pooled``.
        Empty if the model was not evaluated from these sources.

    Raises
    ------
    SelectionError
        If a tissue is unknown, or a target is a source.
    ArtefactError, InputFileError
        If the model or its evaluation cannot be read.

    Examples
    --------
    >>> from mtm_core import out_of_fold_accuracy
    >>> together = ("Whole Blood", "Muscle - Skeletal")
    >>> accuracy = out_of_fold_accuracy("gtex_v8_acmg59_stack", together, targets=["Lung"])
    >>> alone = out_of_fold_accuracy("gtex_v8_acmg59_stack", targets=["Lung"])
    >>> bool(accuracy["rho_by_fold"].mean() > alone["rho_by_fold"].mean())
    True
    """
    files = ModelFolder.open(find_model(model))
    predictor = Predictor.load(files.path)
    artefact = predictor.artefact
    chosen = predictor.targets_of(sources, targets)
    evaluation = evaluation_of(files, artefact)
    return out_of_fold_rho(evaluation, artefact.method.name, sources, tissues=chosen)
