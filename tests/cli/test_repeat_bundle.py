"""The command in a bundle makes the bundle's values again."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.screens.report import bundle_of, record_of
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.cli.conftest import Mtm

SAMPLES = Path(__file__).parents[2] / "data_samples"


def unpack(data: bytes, folder: Path) -> list[str]:
    """Unpack a bundle; give the words of its command."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    return shlex.split((folder / "reproduce.sh").read_text().splitlines()[-1])


def bundled(session: Session, model: ServedModel) -> bytes:
    session.predict(model.predictor)
    return bundle_of(record_of(session, model), model)


@pytest.mark.parametrize(
    ("name", "table", "alignment"),
    [(DEFAULT_MODEL, "blood_tpm.tsv", "auto"), ("gtex_v8_acmg59", "blood_counts.csv", "none")],
)
def test_same_file_gives_the_same_bytes(
    mtm: Mtm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    table: str,
    alignment: AlignmentMethod,
) -> None:
    model = ServedModel.load(find_model(name))
    session = Session(targets=("Spleen", "Brain - Anterior cingulate cortex (BA24)"))
    session.open((SAMPLES / table).read_bytes(), table, model.predictor)
    session.alignment = alignment
    words = unpack(bundled(session, model), tmp_path)
    (tmp_path / table).write_bytes((SAMPLES / table).read_bytes())
    monkeypatch.chdir(tmp_path)
    done = mtm(*words[1:])
    assert done.code == 0, done.err
    again = (tmp_path / "reproduced.parquet").read_bytes()
    assert again == (tmp_path / "predicted.parquet").read_bytes()


def test_age_and_sex_are_read_again_as_the_user_had_explained_them(
    mtm: Mtm, small_cohort: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    donors = sorted(set(small_cohort.obs["donor"]))
    fitted = JointGaussianMethod(covariates=("age", "sex")).fit(small_cohort, donors)
    artefact = Artefact.of(fitted, small_cohort, name="age_sex", provenance={})
    artefact.save(tmp_path / "age_sex")
    model = ServedModel.load(tmp_path / "age_sex")

    names = [f"{i:03d}" for i in range(24)]  # numbers with zeros before them
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:24].to_df()
    blood.set_axis(pd.Index(names, name="sample")).to_csv(tmp_path / "blood.csv")
    people = pd.DataFrame(
        {
            "sample": [f"{name} " for name in names],
            "years": np.linspace(21.25, 79, 24),
            "sex": np.tile([1.0, 2.0], 12),
        }
    )
    people.loc[0, "years"] = np.nan
    session = Session(targets=("Lung", "Liver"))
    session.open((tmp_path / "blood.csv").read_bytes(), "blood.csv", model.predictor)
    session.open_metadata(people.to_csv(index=False).encode(), "people.csv")
    assert session.metadata is not None
    session.metadata = session.metadata.with_near_matches().with_roles(
        age_column="years", sex_column="sex", sex_codes={"1": "female", "2": "male"}
    )
    words = unpack(bundled(session, model), tmp_path)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["age_and_sex"] == {"model_reads": ["age", "sex"], "n_samples_read": 23}

    monkeypatch.chdir(tmp_path)
    done = mtm(*words[1:])
    assert done.code == 0, done.err
    again = (tmp_path / "reproduced.parquet").read_bytes()
    assert again == (tmp_path / "predicted.parquet").read_bytes()
