"""``mtm compare``: groups and traits from the command line, as tidy tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Mtm, error_of

SAMPLES = Path(__file__).parents[2] / "data_samples"
TPM, METADATA = SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv"
GROUPS = ["--groups", "group=case,control"]
LUNG_AND_LIVER = ["--targets", "Lung,Liver"]
UP, DOWN = {"SDHD", "VHL", "SDHB", "MSH6"}, {"SMAD4", "TSC1", "SDHAF2", "SDHC"}


@pytest.fixture
def people() -> pd.DataFrame:
    return pd.read_csv(METADATA, sep="\t")


def test_groups_and_traits_stand_side_by_side_in_blood_and_tissues(
    mtm: Mtm, tmp_path: Path
) -> None:
    done = mtm(
        "compare", TPM, "--metadata", METADATA, *GROUPS, "--traits", "age,group",
        *LUNG_AND_LIVER, "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 0
    assert done.out == ""
    table = pd.read_csv(tmp_path / "out" / "differential_expression.csv")
    assert table["tissue"].value_counts().to_dict() == {"Whole Blood": 59, "Lung": 59, "Liver": 59}
    assert set(zip(table["tissue"], table["origin"], strict=True)) == {
        ("Whole Blood", "measured"),
        ("Lung", "predicted"),
        ("Liver", "predicted"),
    }
    blood = table[(table["tissue"] == "Whole Blood") & (table["fdr"] < 0.05)]
    assert set(blood.loc[blood["log2_fold_change"] > 0, "gene"]) == UP
    assert set(blood.loc[blood["log2_fold_change"] < 0, "gene"]) == DOWN
    predicted = table[table["origin"] == "predicted"]
    assert set(predicted["predictable"]) == {"yes", "no"}
    assert predicted["rho_by_fold"].notna().all()

    traits = pd.read_csv(tmp_path / "out" / "trait_associations.csv")
    assert traits.groupby("trait").size().to_dict() == {"age": 177, "group": 177}
    assert set(traits.loc[traits["trait"] == "group", "trait_is"]) == {"case 1, control 0"}
    both = traits[traits["trait"] == "group"].merge(table, on=["tissue", "gene_id"])
    assert np.corrcoef(both["rho"], both["auc"])[0, 1] > 0.9

    agreement = pd.read_csv(tmp_path / "out" / "reference_agreement.csv", keep_default_na=False)
    assert set(agreement["yours"]) == {"case against control", "age"}
    assert set(agreement.loc[agreement["yours"] == "age", "reference"]) == {"age"}
    assert {"sex", "ventilator"} <= set(agreement["reference"])
    assert set(agreement.loc[agreement["tissue"] == "Lung", "genes"]) == {"all", "predictable"}
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["use"] == "For research use, not for diagnosis."
    assert settings["n_samples"] == 40
    assert settings["shuffled_with_seed"] is None
    assert "case against control: at FDR 0.05, 8 of 59 tests measured (1 tissue)" in done.err
    assert done.err.splitlines()[-1].endswith("For research use, not for diagnosis.")


def test_shuffled_labels_find_chance_and_say_so(mtm: Mtm, tmp_path: Path) -> None:
    options = [TPM, "--metadata", METADATA, *GROUPS, *LUNG_AND_LIVER, "--format", "parquet"]
    tables = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = mtm("compare", *options, "--shuffle", seed, "--output", tmp_path / name)
        assert done.code == 0
        assert "The labels were shuffled: all results are due to chance." in done.err
        tables.append(pd.read_parquet(tmp_path / name / "differential_expression.parquet"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0]["p"].equals(tables[2]["p"])
    blood = tables[0][tables[0]["origin"] == "measured"]
    assert (blood["fdr"] < 0.05).sum() < 3


def test_covariates_change_the_correlation(mtm: Mtm, tmp_path: Path) -> None:
    options = [TPM, "--metadata", METADATA, "--traits", "age", *LUNG_AND_LIVER]
    assert mtm("compare", *options, "--output", tmp_path / "raw").code == 0
    done = mtm("compare", *options, "--covariates", "sex,group", "--output", tmp_path / "partial")
    assert done.code == 0
    raw, partial = (
        pd.read_csv(tmp_path / name / "trait_associations.csv") for name in ("raw", "partial")
    )
    assert not np.allclose(raw["rho"], partial["rho"])
    assert not (tmp_path / "raw" / "differential_expression.csv").exists()


def test_the_reference_group_can_be_chosen(mtm: Mtm, tmp_path: Path) -> None:
    options = [TPM, "--metadata", METADATA, "--traits", "group", "--targets", "Lung"]
    found = []
    for name, more in (("a", []), ("b", ["--reference", "group=case"])):
        done = mtm("compare", *options, *more, "--output", tmp_path / name)
        assert done.code == 0, done.err
        found.append(pd.read_csv(tmp_path / name / "trait_associations.csv"))
    assert "group (control 1, case 0)" in done.err
    assert np.allclose(found[0]["rho"], -found[1]["rho"])
    settings = json.loads((tmp_path / "b" / "settings.json").read_text())
    assert settings["references"] == {"group": "case"}
    for wrong, said in (
        ("age=20", "--reference names 'age', which is neither a trait nor in the formula"),
        ("group", "--reference expects COLUMN=GROUP, got 'group'"),
        ("group=cases", "unknown group: 'cases'"),
    ):
        done = mtm("compare", *options, "--reference", wrong, "--output", tmp_path / "c")
        assert done.code == 1
        assert said in done.err


def test_names_and_codes_are_used_only_if_confirmed(
    mtm: Mtm, tmp_path: Path, people: pd.DataFrame
) -> None:
    people["sample"] = people["sample"].str.lower()
    people["sex"] = people["sex"].map({"male": 1, "female": 2})
    people.to_csv(tmp_path / "people.csv", index=False)
    options = [
        *(TPM, "--metadata", tmp_path / "people.csv", "--traits", "sex", *LUNG_AND_LIVER),
        *("--output", tmp_path / "out"),
    ]
    done = mtm("compare", *options)
    assert done.code == 1
    assert "add --near-names" in done.err
    assert "people.csv has no sample of the expression table" in done.err.splitlines()[-1]
    unclear = mtm("compare", *options, "--near-names")
    assert "Say what each code means" in unclear.err
    assert "no sample has a number in 'sex'" in unclear.err.splitlines()[-1]
    done = mtm("compare", *options, "--near-names", "--sex-codes", "1=male, 2=female")
    assert done.code == 0
    assert "21 female, 19 male, 0 unknown" in done.err
    table = pd.read_csv(tmp_path / "out" / "trait_associations.csv")
    assert (table["n"] == 40).all()


def test_another_source_has_no_accuracy_to_show(mtm: Mtm, tmp_path: Path) -> None:
    done = mtm(
        "compare", TPM, "--metadata", METADATA, *GROUPS, *LUNG_AND_LIVER,
        "--source", "Spleen", "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 0
    table = pd.read_csv(tmp_path / "out" / "differential_expression.csv")
    assert set(table.loc[table["origin"] == "measured", "tissue"]) == {"Spleen"}
    assert set(table["predictable"]) == {"measured", "not evaluated"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to compare. Give --groups COLUMN=CASE,CONTROL, --traits COLUMN or --formula"),
        (["--groups", "case,control"], "--groups expects COLUMN=CASE,CONTROL, got 'case,control'"),
        (["--groups", "group=case"], "--groups expects COLUMN=CASE,CONTROL"),
        (["--traits", "sex", "--sex-codes", "1=m"], "--sex-codes expects 1=male,2=female"),
        ([*GROUPS, "--targets", "Lungs"], "'Lungs' (did you mean 'Lung'?)"),
        ([*GROUPS, "--model", "none"], "(bundled: gtex_v8_acmg59"),
    ],
)
def test_wrong_options_are_one_line_before_anything_is_read(
    mtm: Mtm, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = mtm("compare", "no.csv", "--metadata", "no.csv", *arguments, "--output", tmp_path / "o")
    assert message in error_of(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--groups", "stage=a,b"], "unknown metadata column: 'stage'"),
        (["--groups", "group=cases,control"], "unknown group: 'cases' (did you mean 'case'?)"),
        (["--groups", "group=case,case"], "compared with itself"),
        (["--groups", "age=30,40"], "column 'age' holds number: there are no groups"),
        (["--traits", "bmi"], "unknown metadata column: 'bmi'"),
    ],
)
def test_wrong_columns_end_with_1_and_write_nothing(
    mtm: Mtm, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = mtm(
        "compare", TPM, "--metadata", METADATA, *LUNG_AND_LIVER, *arguments,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 1
    assert message in done.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
