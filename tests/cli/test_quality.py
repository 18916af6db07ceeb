"""``mtm quality`` and ``mtm composition``: what they write and say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.inference.blood_cells import COLUMNS, blood_signature
from mtm_core.places import SAMPLES
from tests.cli.conftest import Mtm, error_of

TABLE, METADATA = SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv"


def test_quality_writes_what_it_found(mtm: Mtm, tmp_path: Path) -> None:
    output = tmp_path / "quality"
    done = mtm("quality", TABLE, "--metadata", METADATA, "--output", output)
    assert done.code == 0, done.err
    samples = pd.read_csv(output / "samples.csv", index_col="sample")
    assert len(samples) == 40
    shown = [line.split("\t")[0] for line in done.out.splitlines()[1:]]
    assert shown == list(samples.index[samples["is_outlier"]])
    tests = pd.read_csv(output / "component_tests.csv")
    assert set(tests["column"]) == {"age", "sex", "group"}
    settings = json.loads((output / "settings.json").read_text())
    assert settings["n_samples"] == 40
    assert "Sex by expression is not computed." in done.err
    assert error_of(mtm("quality", TABLE, "--output", output)).count("--overwrite")


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """Ten mixtures of blood cells, with the model's genes beside the signature's."""
    rng, profiles = np.random.default_rng(0), blood_signature().profiles
    shares = rng.dirichlet([6, 1, 0.5, 1, 1, 0.5], 10)
    own = pd.read_csv(SAMPLES / "blood_counts.csv", index_col=0)
    names = list(own.columns[:10])
    mixed = pd.DataFrame(profiles.to_numpy() @ shares.T * 10, profiles.index, names).round()
    path = tmp_path / "wide.csv"
    pd.concat([own[names], mixed]).rename_axis("gene").to_csv(path)
    return path, pd.DataFrame(shares, names, profiles.columns)


def test_composition_is_written_beside_the_metadata(
    mtm: Mtm, wide: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    path, shares = wide
    metadata = tmp_path / "known.csv"
    pd.DataFrame({"sample": shares.index, "group": ["a", "b"] * 5}).to_csv(metadata, index=False)
    output = tmp_path / "cells.csv"
    done = mtm("composition", path, "--metadata", metadata, "--output", output)
    assert done.code == 0, done.err
    table = pd.read_csv(output, index_col="sample")
    assert list(table.columns) == ["group", *COLUMNS.values(), "fit"]
    np.testing.assert_allclose(table[COLUMNS["neutrophils"]], shares["neutrophils"], atol=0.01)


def test_samples_are_compared_within_their_batches(
    mtm: Mtm, wide: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    path, shares = wide
    plates = {"sample": shares.index, "plate": ["a", "b"] * 5}
    pd.DataFrame(plates).to_csv(tmp_path / "known.csv", index=False)
    known = ("--metadata", tmp_path / "known.csv")
    done = mtm("quality", path, "--batch", "plate", *known, "--output", tmp_path / "looked")
    assert done.code == 0, done.err
    looked = pd.read_csv(tmp_path / "looked" / "samples.csv")
    assert looked["batch"].tolist() == plates["plate"]
    refused = mtm("quality", path, "--batch", "plate", "--output", tmp_path / "none")
    assert "add --metadata FILE" in error_of(refused)


def test_columns_of_the_users_are_not_lost_beside_the_shares(
    mtm: Mtm, wide: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    """Their names may be those of the columns that are written."""
    path, shares = wide
    metadata, output = tmp_path / "known.csv", tmp_path / "cells.csv"
    own = {"person": shares.index, "sample": [f"{i:03}" for i in range(10)], "fit": ["a", "b"] * 5}
    counted = {COLUMNS["monocytes"]: np.linspace(0.1, 0.2, 10)}
    pd.DataFrame(own | counted).to_csv(metadata, index=False)
    done = mtm("composition", path, "--metadata", metadata, "--output", output)
    assert done.code == 0, done.err
    table = pd.read_csv(output, dtype=str)
    assert table["sample_name"].tolist() == list(shares.index)
    assert table["sample"].tolist() == own["sample"]
    assert table["fit"].tolist() == own["fit"]
    assert (table["composition_fit"].astype(float) > 0.9).all()
    assert f"columns of these names: '{COLUMNS['monocytes']}'. They were replaced" in done.err


def test_composition_of_59_genes_is_refused(mtm: Mtm, tmp_path: Path) -> None:
    done = mtm("composition", TABLE, "--output", tmp_path / "cells.csv")
    assert done.code == 1
    assert "0 of the 331 marker genes of blood cells" in done.err
    assert not (tmp_path / "cells.csv").exists()


def test_shares_are_left_out_of_trait_associations(
    mtm: Mtm, wide: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    """The measured gene that follows the neutrophils follows nothing once they are left out."""
    path, shares = wide
    metadata = tmp_path / "known.csv"
    trait = shares["neutrophils"] + np.random.default_rng(1).normal(0, 0.02, len(shares))
    pd.DataFrame({"sample": shares.index, "trait": trait}).to_csv(metadata, index=False)
    tables = {}
    for name, more in (("as_is", []), ("left_out", ["--covariates", COLUMNS["neutrophils"]])):
        done = mtm(
            *("compare", path, "--metadata", metadata, "--traits", "trait", "--targets", "Lung"),
            *("--composition", "--output", tmp_path / name, *more),
        )
        assert done.code == 0, done.err
        rows = pd.read_csv(tmp_path / name / "trait_associations.csv")
        tables[name] = rows[rows["origin"] == "measured"].set_index("gene_id")["rho"]
    signature = blood_signature().genes
    markers = list(signature.index[signature["marker_of"] == "neutrophils"])
    assert tables["as_is"][markers].median() > 0.8
    assert abs(tables["left_out"][markers].median()) < 0.5


def test_exchanged_samples_between_two_tables_are_named(mtm: Mtm, tmp_path: Path) -> None:
    table = pd.read_csv(TABLE, sep="\t", index_col=0)
    rng = np.random.default_rng(0)
    later = table * np.exp2(rng.normal(0, 0.3, table.shape))
    later = later.rename(index={"SIM-002": "SIM-009", "SIM-009": "SIM-002"})
    other = tmp_path / "later.tsv"
    later.to_csv(other, sep="\t")
    output = tmp_path / "quality"
    done = mtm("quality", TABLE, "--also", other, "--unit", "tpm", "--output", output)
    assert done.code == 0, done.err
    found = pd.read_csv(output / "between_tables.csv", index_col="sample")
    assert set(found.index[found["verdict"] == "exchanged"]) == {"SIM-002", "SIM-009"}
    assert "SIM-002 (most like SIM-009)" in done.err
    lacking = mtm("quality", TABLE, "--person", "group", "--output", tmp_path / "other")
    assert "give --metadata too" in error_of(lacking)
