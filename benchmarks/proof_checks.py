"""What a model of a planted cohort found, against what was planted.

Nothing here is made by the program: the ceilings, and which gene has what, come from the seed.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.planted_cohort import (
    BLOCK,
    DISEASE,
    PlantedCohort,
)
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.errors import SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.statistics.correlation import columnwise_correlation
from mtm_core.studies.reference import ReferenceAssociations

FDR = 0.05
EXPRESSED = 2.0
"""Mean of y = log2(1 + TPM) above which a planted effect is not lost among zeros."""
CLEAR = 0.5
"""An effect of this many SD should be found wherever there are donors enough."""


@dataclass(frozen=True)
class Ceilings:
    """What was planted of each modelled gene, (T, G) in the order of the file's modelled genes.

    Attributes
    ----------
    rho
        Correlation of the planted factors, own effects and traits with the values in the file, over
        the donors with blood; 0 where a gene has nothing or does not vary.
    adjusted
        The same without traits, on values without them.
    mean, effects
        Of y; of each trait, in SD of the gene.
    """

    gene_id: NDArray[np.str_]
    rho: NDArray[np.float32]
    adjusted: NDArray[np.float32]
    mean: NDArray[np.float32]
    effects: dict[str, NDArray[np.float32]]


def ceilings(truth: Path, processes: int = 1) -> Ceilings:
    """Draw every block again and correlate what was planted with what is in the file."""
    cohort = PlantedCohort.load(truth)
    numbers = range(cohort.n_blocks)
    if processes == 1:
        _begin(truth)
        parts = list(map(_ceiling_of, numbers))
    else:
        with multiprocessing.get_context("spawn").Pool(processes, _begin, (truth,)) as pool:
            parts = pool.map(_ceiling_of, numbers, chunksize=4)
    names = cohort.genes["gene_id"].to_numpy(str)
    rows = np.concatenate([part[0] for part in parts])
    rho, adjusted, mean = (np.concatenate([part[i] for part in parts], 1) for i in (1, 2, 3))
    effects = {
        name: np.concatenate([part[4][name] for part in parts], axis=1) for name in parts[0][4]
    }
    return Ceilings(names[rows], rho, adjusted, mean, effects)


_COHORT: PlantedCohort


def _begin(truth: Path) -> None:
    global _COHORT
    _COHORT = PlantedCohort.load(truth)


def _ceiling_of(number: int) -> tuple[Any, ...]:
    cohort, block = _COHORT, _COHORT.block(number)
    y = np.maximum(cohort.values(number, block), 0)[:, block.rows - number * BLOCK]
    tissue, donor = cohort.samples["tissue"].to_numpy(), cohort.samples["donor"].to_numpy()
    blood = set(donor[tissue == cohort.tissues.index(WHOLE_BLOOD)])
    with_blood = np.isin(donor, list(blood))
    rho = np.zeros((len(cohort.tissues), len(block.rows)), dtype=np.float32)
    adjusted = rho.copy()
    for t in range(len(cohort.tissues)):
        rows = np.flatnonzero(with_blood & (tissue == t))
        if len(rows) < 10:
            continue
        of = donor[rows]
        signal, traits = cohort.signal(block, t, of), cohort.trait_part(block, t, of)
        rho[t] = np.nan_to_num(columnwise_correlation(signal + traits, y[rows]))
        adjusted[t] = np.nan_to_num(columnwise_correlation(signal, y[rows] - traits))
    return block.rows, rho, adjusted, block.mean, block.effects


def accuracy(tables: EvaluationTables, found: Ceilings, truth: PlantedCohort) -> pd.DataFrame:
    """Return each method's mean rho over tissues, raw and adjusted, and its share of the best."""
    tissues = sorted(tables.tissues["tissue"].unique())
    at = [truth.tissues.index(name) for name in tissues]
    known = np.isin(found.gene_id, np.asarray(tables.gene_ids, dtype=str))
    raw = float(found.rho[np.ix_(at, known)].mean())
    without = float(found.adjusted[np.ix_(at, known)].mean())
    rows = {"planted (ceiling)": {"rho": raw, "rho_adjusted": without}}
    summary = tables.summary()
    for method in summary.index:
        row = summary.loc[method]
        rows[str(method)] = {
            "rho": row["gene_rho_by_fold_mean"],
            "rho_adjusted": row.get("gene_adjusted_rho_by_fold_mean", np.nan),
            "sample_rho": row["sample_rho_mean"],
            "predictable_genes": row["n_predictable_mean"],
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.assign(
        share_of_ceiling=table["rho"] / raw, adjusted_share=table["rho_adjusted"] / without
    )


def coverage(tables: EvaluationTables, method: str) -> pd.DataFrame:
    """Return the share of held-out values inside the intervals: over all, and by tissue."""
    own = tables.tissues[tables.tissues["method"] == method]
    columns = [name for name in own if name.startswith("coverage_") and own[name].notna().any()]
    rows = {
        name.removeprefix("coverage_") + " %": {
            "mean": np.average(own[name], weights=own["n"]),
            "lowest tissue": own[name].min(),
            "highest tissue": own[name].max(),
        }
        for name in columns
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def genes_found(
    tables: EvaluationTables, method: str, found: Ceilings, truth: PlantedCohort
) -> dict[str, float]:
    """Say how the method did on genes with an own effect, and on those with nothing planted."""
    position = pd.Series(np.arange(len(found.gene_id)), index=found.gene_id)
    roles, modelled = truth.roles, truth.roles.modelled
    own, silent = roles.own[modelled] >= 0, roles.silent[modelled]
    rows = []
    for tissue in tables.tissues["tissue"].unique():
        genes = tables.genes_of(
            method, tissue, columns=["rho_by_fold", "rho_pooled", "is_predictable", "survives_fdr"]
        )
        at, t = position[genes["gene_id"].astype(str)].to_numpy(), truth.tissues.index(tissue)
        part = genes[["rho_by_fold", "is_predictable", "survives_fdr"]].reset_index(drop=True)
        rows.append(
            part.assign(
                own=own[at],
                silent=silent[at],
                ceiling=found.rho[t, at],
                expressed=found.mean[t, at] > EXPRESSED,
            )
        )
    table = pd.concat(rows, ignore_index=True)
    table["rho_by_fold"] = table["rho_by_fold"].fillna(0)
    has_own = table[table["own"] & table["expressed"]]
    others = table[~table["own"] & ~table["silent"] & table["expressed"]]
    nothing, called = table[table["silent"]], table[table["is_predictable"]]
    reachable = table[table["ceiling"] > 0.3]
    return {
        "own-gene genes: mean rho": float(has_own["rho_by_fold"].mean()),
        "own-gene genes: mean ceiling": float(has_own["ceiling"].mean()),
        "own-gene genes: share called predictable (recall)": float(
            has_own["is_predictable"].mean()
        ),
        "other steered genes: mean rho": float(others["rho_by_fold"].mean()),
        "other steered genes: mean ceiling": float(others["ceiling"].mean()),
        "genes whose ceiling is above 0.3: share called predictable": float(
            reachable["is_predictable"].mean()
        ),
        "called predictable: share with something planted (precision)": 1
        - float(called["silent"].mean()),
        "called predictable and FDR <= 5 %: share with nothing planted": float(
            table.loc[table["survives_fdr"], "silent"].mean()
        ),
        "genes with nothing planted: mean rho": float(nothing["rho_by_fold"].mean()),
        "genes with nothing planted: share called predictable": float(
            nothing["is_predictable"].mean()
        ),
        "genes with nothing planted: share that survives FDR": float(
            nothing["survives_fdr"].mean()
        ),
    }


_TRAITS = {"sex": "male", "age": "age", "ventilator": "ventilator", DISEASE: "disease"}
"""Traits of GTEx's own associations, and the effects that were planted of each."""


def associations_found(
    associations: ReferenceAssociations,
    found: Ceilings,
    truth: PlantedCohort,
    skipped: Collection[str] = (),
) -> pd.DataFrame:
    """Count, by trait and adjustment, planted effects that are found and findings without one."""
    position = pd.Series(np.arange(len(found.gene_id)), index=found.gene_id)
    rows = []
    for trait, about in associations.traits.items():
        if trait in skipped:
            continue
        for adjusted_for in about["adjustments"]:
            parts = []
            for tissue in truth.tissues:
                table = _selected(associations, trait, tissue, adjusted_for)
                if table is None or not len(table):
                    continue
                at, t = position[table.index].to_numpy(), truth.tissues.index(tissue)
                name = _TRAITS.get(trait)
                effect = found.effects[name][t, at] if name else np.zeros(len(at))
                hit = (table["fdr"] <= FDR).to_numpy()
                parts.append(
                    pd.DataFrame(
                        {
                            "effect": effect,
                            "hit": hit,
                            "seen": (found.mean[t, at] > EXPRESSED) | (np.abs(effect) > 5),
                            "n": table["n"].to_numpy(),
                        }
                    )
                )
            if not parts:
                continue
            tests = pd.concat(parts, ignore_index=True)
            planted, hits = tests["effect"] != 0, tests["hit"]
            clear = (tests["effect"].abs() >= CLEAR) & tests["seen"]
            rows.append(
                {
                    "trait": trait,
                    "adjusted_for": adjusted_for or "nothing",
                    "tissues": len(parts),
                    "tests": len(tests),
                    "found": int(hits.sum()),
                    "recall": float(hits[planted & tests["seen"]].mean()),
                    "recall_clear": float(hits[clear].mean()),
                    "found_without_effect": float((hits & ~planted).sum() / max(hits.sum(), 1)),
                    "share_of_null_tests_found": float(hits[~planted].mean()),
                }
            )
    return pd.DataFrame(rows)


def _selected(
    associations: ReferenceAssociations, trait: str, tissue: str, adjusted_for: str
) -> pd.DataFrame | None:
    try:
        table = associations.select(trait, tissue, adjusted_for)
    except SelectionError:
        return None
    return table[table["fdr"].notna()]
