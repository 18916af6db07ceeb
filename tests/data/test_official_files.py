"""The full-size files of benchmarks/genome_wide.py, in a tiny form: what is planted can be read."""

import sys
from dataclasses import asdict

import numpy as np
import pytest
import requests

from benchmarks import proof_checks
from benchmarks.official_files import DBGAP_NAME, OfficialFiles, plan, write_files
from benchmarks.planted_cohort import DISEASE, DISEASE_TISSUES, NO_DISEASE, Planted, PlantedCohort
from benchmarks.process_tree import run_measured
from benchmarks.proof_report import assigned, render, replace_section
from benchmarks.range_server import serving
from mtm_core.data.cohort.cohort import build_cohort
from mtm_core.data.gtex.annotations import (
    read_gene_table,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm_core.data.gtex.download import download_gtex
from mtm_core.data.gtex.gct import read_gct
from mtm_core.studies.reference import ReferenceAssociations


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> OfficialFiles:
    cohort = plan(Planted(seed=3), share=0.12, n_genes=300)
    return write_files(cohort, tmp_path_factory.mktemp("gtex"))


@pytest.fixture(scope="module")
def truth(files: OfficialFiles) -> PlantedCohort:
    return PlantedCohort.load(files.truth)


@pytest.fixture(scope="module")
def y(files: OfficialFiles) -> np.ndarray:
    return np.log2(1 + np.asarray(read_gct(files.expression).X))


def test_files_are_those_of_the_release(files, truth, tmp_path):
    with serving(files.root) as url:
        paths = download_gtex(tmp_path, "v8", base_url=url)
        part = requests.get(
            f"{url}/{files.gtf.relative_to(files.root)}", headers={"Range": "bytes=20-"}, timeout=5
        )
    assert part.status_code == 206
    assert part.content == files.gtf.read_bytes()[20:]
    samples = read_sample_attributes(paths["sample-attributes"])
    donors = read_subject_phenotypes(paths["subject-phenotypes"])
    genes = read_gene_table(paths["genes"])
    expression = read_gct(paths["expression"])
    assert (samples["analysis_freeze"] == "RNASEQ").sum() == expression.n_obs
    assert (genes["gene_type"] == "protein_coding").sum() == truth.genes["modelled"].sum()
    cohort = build_cohort(expression, samples, donors, gene_table=genes, minimum_samples=20)
    assert list(donors.columns) == ["sex", "age", "age_band", "hardy"]
    assert set(cohort.obs["tissue"]) > set(DISEASE_TISSUES[:2])
    ovary = samples.loc[samples["tissue"] == "Ovary", "donor"]
    assert set(donors.loc[ovary, "sex"]) == {"female"}
    history = read_subject_phenotypes(files.truth.parent / DBGAP_NAME)
    assert (history[DISEASE] == truth.donors[DISEASE]).all()
    assert (history["age"] == truth.donors["age"]).all()


def test_values_in_the_file_are_those_drawn(truth, y):
    drawn = np.maximum(np.concatenate([truth.values(b) for b in range(truth.n_blocks)], 1), 0)
    assert np.abs(drawn - y).max() < 1e-3  # four digits of TPM
    assert 0.3 < (y == 0).mean() < 0.7


def test_factors_and_own_effects_change_only_their_genes(truth, y):
    block, tissue = truth.block(0), truth.tissues.index("Whole Blood")
    rows = np.flatnonzero(truth.samples["tissue"] == tissue)
    donors = truth.samples["donor"].to_numpy()[rows]
    signal = truth.signal(block, tissue, donors)
    of = truth.roles.own[block.rows]
    assert (np.ptp(signal[:, truth.roles.silent[block.rows]], axis=0) == 0).all()
    rest = y[np.ix_(rows, block.rows)] - truth.trait_part(block, tissue, donors)
    on = block.mean[tissue] > 4  # no zeros
    steered = on & ~truth.roles.silent[block.rows] & ~truth.roles.on_y[block.rows] & (of < 0)
    share = np.var(signal[:, steered], axis=0) / np.var(rest[:, steered], axis=0)
    assert np.mean(share) == pytest.approx(0.25, abs=0.06)
    dosage = truth.dosages[donors]
    own = np.flatnonzero(on & (of >= 0))
    rho = [np.corrcoef(dosage[:, of[g]], rest[:, g])[0, 1] for g in own]
    assert np.mean(rho) == pytest.approx(0.55, abs=0.12)


def test_traits_change_only_their_genes(truth, y):
    donors = truth.samples["donor"].to_numpy()
    male = truth.donors["male"].to_numpy()[donors]
    assert (
        y[np.ix_(male, truth.roles.on_y)].mean()
        > 4
        > 0.5
        > y[np.ix_(~male, truth.roles.on_y)].mean()
    )
    assert (
        y[np.ix_(~male, truth.roles.xist)].mean()
        > 4
        > 0.5
        > y[np.ix_(male, truth.roles.xist)].mean()
    )
    in_muscle = truth.samples["tissue"].to_numpy() == truth.tissues.index("Muscle - Skeletal")
    genes = np.flatnonzero(truth.roles.disease)
    block = truth.block(0)
    genes = genes[genes < 256]
    at = np.searchsorted(block.rows, genes)
    sign = np.sign(block.effects["disease"][truth.tissues.index("Muscle - Skeletal"), at])
    assert (sign != 0).all()
    change = {}
    for name in (DISEASE, NO_DISEASE):
        case = truth.donors[name].to_numpy()[donors] & in_muscle
        control = ~truth.donors[name].to_numpy()[donors] & in_muscle
        change[name] = sign * (y[case].mean(0) - y[control].mean(0))[genes]
    expressed = block.mean[truth.tissues.index("Muscle - Skeletal"), at] > 3
    assert change[DISEASE][expressed].mean() > 0.25
    assert abs(change[NO_DISEASE][expressed].mean()) < 0.2


def test_checks_find_what_was_planted_and_nothing_else(files, truth):
    samples = read_sample_attributes(files.sample_attributes)
    samples = samples[samples["tissue"].isin(["Whole Blood", "Muscle - Skeletal"])]
    cohort = build_cohort(
        read_gct(files.expression, genes=truth.genes["gene_id"][truth.genes["modelled"]]),
        samples,
        read_subject_phenotypes(files.dbgap),
    )
    found = proof_checks.ceilings(files.truth)
    table = proof_checks.associations_found(ReferenceAssociations.of(cohort), found, truth)
    by_trait = table[table["adjusted_for"] == "nothing"].set_index("trait")
    assert by_trait.loc["sex", "recall_clear"] > 0.8
    assert by_trait.loc["sex", "found_without_effect"] < 0.25
    assert by_trait.loc["bmi", "found"] <= 2
    muscle = truth.tissues.index("Muscle - Skeletal")
    own = (truth.roles.own[truth.roles.modelled] >= 0) & (found.mean[muscle] > 3)
    silent = truth.roles.silent[truth.roles.modelled]
    assert found.adjusted[muscle, own].min() > 0.5
    assert np.abs(found.rho[:, silent]).max() == 0


def test_steps_are_read_from_a_log_and_compared_with_budgets(tmp_path):
    said = ["[1/3] Prepare the cohort: begun", "a warning", "[1/3] Prepare the cohort: done, 0.1 s"]
    said += ["[2/3] Score ridge: begun", "[2/3] Score ridge: done", "[3/3] Fit it: done before"]
    program = f"import time\nfor line in {said}:\n print(line, flush=True); time.sleep(0.2)"
    run = run_measured((sys.executable, "-c", program), tmp_path / "log")
    assert [step.name for step in run.steps()] == ["Prepare the cohort", "Score ridge"]
    assert 0.3 < run.steps()[0].seconds < 2
    assert run.steps()[0].peak_bytes > 1e6
    taken = {budget.what: steps for budget, steps in assigned([asdict(s) for s in run.steps()])}
    assert len(taken["prepare"]) == len(taken["nested evaluation, all methods"]) == 1
    page = tmp_path / "genome.md"
    page.write_text("# Genome\n\n## Proof at full size\n\nold\n\n## Next\n\ntext of it\n")
    replace_section(page, "## Proof at full size\n\nnew\n")
    assert page.read_text() == "# Genome\n\n## Proof at full size\n\nnew\n\n## Next\n\ntext of it\n"


def test_each_budget_has_a_row_with_its_ratio():
    steps = [
        {"name": "Score ridge", "seconds": 100.0, "peak_bytes": 2e9},
        {"name": "Evaluate ridge from several tissues", "seconds": 35.0, "peak_bytes": 1e9},
    ]
    further = [{"name": "associations with dbGaP's file, apart", "seconds": 150, "peak_bytes": 1e9}]
    codes = "1,000 people, in a program: predict all tissues (codes)"
    took = {"what": codes, "seconds": 0.3, "processor_seconds": 0.4, "peak_bytes": 0, "size": ""}
    sizes = dict.fromkeys(("genes", "samples", "donors", "gigabytes", "modelled"), 1)
    text = render(
        {
            "what": {"date": "today", "machine": "this one", **sizes},
            "build": {
                "commands": ["/a/bin/mtm build --output /b/model"],
                **{"steps": steps, "further": further, "seconds": 140.0, "peak_bytes": 3e9},
                **{"weights_bytes": 2e8, "model_bytes": 5e8},
            },
            **{"accuracy": {}, "coverage": {}, "genes": {}, "method": "ridge"},
            "predictions": [took],
        }
    )
    assert "\nmtm build --output model\n" in text
    assert "| nested evaluation, all methods | 100 s | 2,700 s | 0.04 |" in text
    assert "from combinations of several tissues | 135 s | 2,700 s | 0.05 |" in text
    assert "| nested evaluation, all methods: most memory | 2 GB |  |  |" in text
    assert "| associations with dbGaP's file, apart | 150 s | 300 s | 0.50 |" in text
    assert "| the whole: most memory | 3 GB | 12 GB | 0.25 |" in text
    assert "| weights on disk | 200 MB | 400 MB | 0.50 |" in text
    assert f"| {codes} | 0.3 s | 3 s | 0.10 |" in text
    assert f"| {codes} | 0.30 s | 0.40 s |  |  |" in text
