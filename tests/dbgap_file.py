"""A simulated donor table as the controlled-access file of dbGaP phs000424."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

NAME = "phs000424.v8.pht002742.v8.p2.c1.GTEx_Subject_Phenotypes.GRU.txt"


def write_dbgap_file(folder: Path, donors: pd.DataFrame, bmi: pd.Series) -> Path:
    """Write ten ``#`` lines, the header and a row a donor; unknown history is 99."""
    history = [name for name in donors.columns if name.startswith("MH")]
    table = pd.DataFrame(
        {
            "SUBJID": donors.index,
            "COHORT": "Postmortem",
            "SEX": donors["sex"].map({"male": "1", "female": "2"}).fillna("").to_numpy(),
            "AGE": donors["age"].map("{:.0f}".format).to_numpy(),
            "RACE": "3",
            "HGHT": "70",
            "WGHT": "180",
            "BMI": bmi.reindex(donors.index).map("{:.2f}".format).to_numpy(),
            "DTHHRDY": donors["hardy"].map("{:.0f}".format).replace("nan", "").to_numpy(),
        }
    )
    for name in history:
        coded = donors[name].astype("Int64").astype("string").fillna("99")
        table[name] = coded.to_numpy()
    path = folder / NAME
    comments = "# Study accession: phs000424.v8.p2\n" + "#\n" * 7 + "##\tphv00169061\n" * 2
    path.write_text(comments + table.to_csv(sep="\t", index=False))
    return path
