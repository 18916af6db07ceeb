"""A cohort is made of files with its values in memory once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import build_cohort, read_cohort
from mtm_core.data.gtex.annotations import read_sample_attributes
from mtm_core.data.gtex.gct import read_gct
from mtm_core.workflows.prepare import PrepareOptions, prepare_cohort

N_DONORS, N_GENES, N_IN_FILE = 800, 1_000, 1_300


def _write_files(folder: Path, rng: np.random.Generator) -> PrepareOptions:
    """Two large tissues, one of three donors; genes asked for that are not there, and others."""
    tissues = {"Lung": N_DONORS, "Liver": N_DONORS, "Spleen": 3}
    names = [f"D-{d}-{tissue}" for tissue, n in tissues.items() for d in range(n)]
    names = [names[i] for i in rng.permutation(len(names))]
    rows = "".join(f"{name}\t{name.rsplit('-')[-1]}\n" for name in names)
    (folder / "samples.txt").write_text("SAMPID\tSMTSD\n" + rows)
    pool = "\t".join(map(str, rng.integers(0, 10, len(names) + N_IN_FILE)))
    with (folder / "x.gct").open("w") as file:
        file.write(f"#1.2\n{N_IN_FILE}\t{len(names)}\nName\tDescription\t")
        file.write("\t".join(names) + "\n")
        for g in range(N_IN_FILE):
            file.write(f"ENSG{g:011d}.1\tG{g}\t{pool[2 * g : 2 * (g + len(names)) - 1]}\n")
    asked = [f"ENSG{g:011d}" for g in range(N_IN_FILE - N_GENES, N_IN_FILE + 150)]
    (folder / "genes.txt").write_text("\n".join(asked))
    return PrepareOptions(
        folder / "x.gct",
        folder / "samples.txt",
        folder / "cohort.h5ad",
        genes=folder / "genes.txt",
    )


def test_prepare_holds_one_matrix_and_gives_what_reading_and_filtering_give(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtm_core.data.gtex.gct._PARSE_BYTES", 1 << 16)
    options = _write_files(tmp_path, rng)
    tracemalloc.start()
    cohort = prepare_cohort(options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    matrix = cohort.n_obs * cohort.n_vars * 4
    assert cohort.shape == (2 * N_DONORS, N_GENES)
    # Genes that are not there took room until then; text and small tables take 3 MB.
    assert peak < 1.3 * matrix + 4e6, f"{peak / 1e6:.0f} MB of {matrix / 1e6:.0f}"

    apart = build_cohort(
        read_gct(options.expression), read_sample_attributes(options.sample_attributes)
    )
    apart = apart[:, N_IN_FILE - N_GENES :].copy()
    saved = read_cohort(options.output)
    for made in (cohort, saved):
        np.testing.assert_array_equal(made.X, apart.X)
        pd.testing.assert_frame_equal(made.obs, apart.obs)
        pd.testing.assert_index_equal(made.var_names, apart.var_names)
        assert made.obs_names.name == "sample"
