"""The models on this machine, with their properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtm_core.errors import MTMError
from mtm_core.model_description import read_description
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import bundled_models, find_model, installed_models
from mtm_core.sharing.licence import PROGRAM_LICENCE, licence_of

RHO, ADJUSTED_RHO = "gene_rho_by_fold_mean", "gene_adjusted_rho_by_fold_mean"


@dataclass(frozen=True)
class ListedModel:
    """A model that is here.

    Attributes
    ----------
    name
        Name by which the model is requested.
    where
        Whether it comes with the program, was installed, or is a folder.
    folder
        Folder of the model.
    n_bytes
        Size of the folder.
    description
        Its ``model.json``; empty if that cannot be read.
    licence
        Its short name; empty if none is given.
    problem
        Why it cannot be used; empty if it can.
    """

    name: str
    where: Literal["bundled", "installed", "folder"]
    folder: Path
    n_bytes: int = 0
    description: Mapping[str, Any] | None = None
    licence: str = ""
    problem: str = ""

    @classmethod
    def of(
        cls, folder: Path, where: Literal["bundled", "installed", "folder"], name: str = ""
    ) -> ListedModel:
        """Read what is known of the model in ``folder``; what is wrong with it is said in words."""
        name = name or folder.name
        try:
            files = ModelFolder.open(folder)
            description = read_description(files)
            n_bytes = sum(seal.n_bytes for seal in files.seals.values())
            licence = licence_of(files) or PROGRAM_LICENCE * (where == "bundled")
        except MTMError as error:
            return cls(name, where, folder, problem=str(error))
        return cls(name, where, folder, n_bytes, description, licence)

    @property
    def method(self) -> str:
        """Name of the method; empty if it cannot be read."""
        return "" if self.description is None else str(self.description["method"])

    @property
    def n_genes(self) -> int:
        """How many genes it predicts."""
        return 0 if self.description is None else len(self.description["genes"])

    @property
    def n_tissues(self) -> int:
        """How many tissues it knows."""
        return 0 if self.description is None else len(self.description["tissues"])

    def accuracy(self, figure: str = RHO) -> float | None:
        """Return a mean over tissues of its evaluation; ``None`` if it was not made."""
        if self.description is None:
            return None
        value = self.description["accuracy"].get("summary", {}).get(figure)
        return None if value is None else float(value)


def list_models() -> list[ListedModel]:
    """List the models that come with the program, then the installed ones."""
    bundled = [ListedModel.of(find_model(name), "bundled") for name in bundled_models()]
    installed = [ListedModel.of(folder, "installed") for folder in installed_models().values()]
    return [*bundled, *installed]
