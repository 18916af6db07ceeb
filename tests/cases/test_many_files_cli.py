"""``mtm predict`` and ``mtm compare`` of files of one sample each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.cases import base, many_files
from tests.cli.conftest import Mtm, error_of


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def test_files_folder_and_table_are_predicted_alike(mtm: Mtm, study: Path, tmp_path: Path) -> None:
    many_files.salmon(study)
    table = many_files.tx2gene(tmp_path / "t.csv")
    base.counts().to_csv(tmp_path / "clean.csv")
    quants = sorted(study.glob("*/quant.sf"))
    made = []
    for i, given in enumerate(([study], quants, [tmp_path / "clean.csv"])):
        output = tmp_path / f"{i}.csv"
        transcripts = ["--tx2gene", table] if i < 2 else []
        done = mtm("predict", *given, *transcripts, "--targets=Lung", "--output", output)
        assert done.code == 0, done.err
        made.append(pd.read_csv(output))
    pd.testing.assert_frame_equal(made[0], made[1])
    pd.testing.assert_frame_equal(made[0], made[2], rtol=1e-4)
    without = error_of(mtm("predict", *quants, "--output", tmp_path / "x.csv"))
    assert "--tx2gene" in without
    parts = error_of(mtm("predict", *quants, "--workers=1", "--output", tmp_path / "x.zarr"))
    assert "only one table can be predicted in chunks; got 24" in parts
    same = error_of(mtm("predict", *quants, "--tx2gene", table, "--output", table))
    assert "t.csv" in same
    assert table.read_text().startswith("TXNAME")


def test_a_zip_is_compared(mtm: Mtm, study: Path, tmp_path: Path) -> None:
    many_files.star(study)
    names = list(base.counts())
    group = ["case" if i % 2 else "control" for i in range(len(names))]
    pd.DataFrame({"sample": names, "group": group}).to_csv(tmp_path / "m.csv", index=False)
    done = mtm(
        *("compare", study, "--metadata", tmp_path / "m.csv", "--groups=group=case,control"),
        *("--targets=Lung", "--output", tmp_path / "compared"),
    )
    assert done.code == 0, done.err
    assert "24 files of one sample each, as STAR writes them" in " ".join(done.err.split())
    assert (tmp_path / "compared" / "differential_expression.csv").exists()


def test_a_zip_of_runs_is_read_with_a_table_beside_it(
    mtm: Mtm, study: Path, tmp_path: Path
) -> None:
    """A run's own folders hold lists that are of no sample; Salmon's ambig_info has two columns."""
    many_files.salmon(study)
    for run in study.iterdir():
        for name, text in (
            ("aux_info/ambig_info.tsv", "UniqueCount\tAmbigCount\n1\t2\n3\t0\n"),
            ("logs/salmon_quant.log", "[2024-01-01] done\n"),
            ("cmd_info.json", "{}"),
        ):
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text(text)
    table = many_files.tx2gene(tmp_path / "t.csv")
    packed = Path(shutil.make_archive(str(tmp_path / "runs"), "zip", study))
    base.counts().to_csv(tmp_path / "clean.csv")
    made = []
    for i, given in enumerate(([study], [packed], [tmp_path / "clean.csv"])):
        output = tmp_path / f"{i}.csv"
        transcripts = ["--tx2gene", table] if i < 2 else []
        done = mtm("predict", *given, *transcripts, "--targets=Lung", "--output", output)
        assert done.code == 0, done.err
        rows = pd.read_csv(output).sort_values(["sample", "gene_id"], ignore_index=True)
        made.append(rows)
    pd.testing.assert_frame_equal(made[0], made[1])
    pd.testing.assert_frame_equal(made[0], made[2], rtol=1e-4)
    (tmp_path / "PT25.txt").write_text("what is this")
    lost = error_of(mtm("predict", packed, tmp_path / "PT25.txt", "--output", tmp_path / "x.csv"))
    assert "PT25.txt" in lost
