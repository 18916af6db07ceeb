"""What a model's description and numbers must be to mean anything, whoever wrote them.

A manifest tells that a folder is what somebody sealed; these checks tell that it is a model: sizes
agree, numbers are finite, and genes, tissues, scale and unit fit together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtm_core.data.cohort.normalise import UNIT_AFTER
from mtm_core.data.cohort.scaling import CONSTANT_SD, TissueScaler

MOST_GENES, MOST_TISSUES = 200_000, 1000
_MOST_SAMPLES = 10**9
_MOST_TEXT = 200
_MOST_COLUMNS = 20
_LARGEST = 1e9
"""Upper limit of any number: expression in TPM or CPM ends at a million."""
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_KEYS = (
    *("format", "format_version", "code_version", "name", "method", "scale", "unit"),
    *("normalisation", "settings", "accuracy", "provenance", "genes", "tissues", "sha256"),
)
_PANEL_TOTAL = 1e6


def check_description(description: Mapping[str, Any]) -> None:
    """Check ``model.json`` for what can be seen without the weights.

    Raises
    ------
    ValueError
        If it does not describe a model.
    """
    lacking = [name for name in _KEYS if name not in description]
    unknown = sorted(set(description) - {*_KEYS, "weights"})
    if lacking or unknown:
        raise ValueError(f"entries missing: {lacking[:3]}; unexpected: {unknown[:3]}")
    for name in ("code_version", "name", "method", "sha256"):
        check_text(description[name], name)
    if {"/", "\\"} & set(description["name"]) or description["name"].startswith("."):
        raise ValueError(f"the name {description['name']!r} is not one of a folder")
    if description["scale"] not in ("log2", "linear"):
        raise ValueError(f"unknown scale {description['scale']!r}; expected log2 or linear")
    expected = UNIT_AFTER.get(str(description["normalisation"]))
    if description["unit"] != expected:
        raise ValueError(
            f"the unit is {description['unit']!r}; expected {expected!r} after normalisation"
            f" {description['normalisation']!r}"
        )
    if description.get("weights", "fp32") not in ("fp32", "bf16"):
        raise ValueError(f"unknown weights {description['weights']!r}; expected fp32 or bf16")
    for name in ("settings", "accuracy", "provenance"):
        if not isinstance(description[name], dict):
            raise ValueError(f"{name} is not an object")
    _check_records(description["genes"], "gene_id", ("symbol", "entrez"), MOST_GENES)
    tissues = _check_records(
        description["tissues"],
        "tissue",
        ("abbreviation", "colour", "ontology", "n_samples"),
        MOST_TISSUES,
    )
    if len(tissues) < 2:
        raise ValueError(f"expected 2 tissues or more, got {len(tissues)}")
    for row in description["tissues"]:
        if not _COLOUR.fullmatch(str(row["colour"])):
            raise ValueError(f"{row['colour']!r} is not a colour; expected for example #FF6600")
        _check_count(row["n_samples"], "n_samples")
    _check_provenance(description["provenance"])
    _check_accuracy(description["accuracy"], set(tissues))


def check_text(value: object, what: str, *, may_be_empty: bool = False) -> str:
    """Return ``value`` if it is a line of text that can be shown.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(value, str) or len(value) > _MOST_TEXT or not value.isprintable():
        raise ValueError(f"{what} is not a line of text: {str(value)[:50]!r}")
    if value != value.strip() or not (value or may_be_empty):
        raise ValueError(f"{what} is empty, or has blanks around it: {value!r}")
    return value


def _check_records(
    records: object, key: str, columns: Sequence[str], most: int
) -> dict[str, dict[str, Any]]:
    """Check a table of ``model.json``: one object a row, alike in their names; by ``key``."""
    if not isinstance(records, list) or not 0 < len(records) <= most:
        raise ValueError(f"expected 1 to {most:,} {key}s")
    found: dict[str, dict[str, Any]] = {}
    names: list[str] = list(records[0]) if isinstance(records[0], dict) else []
    lacking = [name for name in (key, *columns) if name not in names]
    if lacking:
        raise ValueError(f"the {key}s have no {', '.join(lacking)}")
    if len(names) > _MOST_COLUMNS:
        raise ValueError(f"the {key}s have {len(names)} entries each")
    for row in records:
        if not isinstance(row, dict) or list(row) != names:
            raise ValueError(f"the {key}s are not alike: {str(row)[:80]}")
        for name in names:
            if name != "n_samples":
                check_text(row[name], name, may_be_empty=name != key)
        if row[key] in found:
            raise ValueError(f"{key} {row[key]!r} is duplicated")
        found[row[key]] = row
    return found


def _check_count(value: object, what: str) -> None:
    if type(value) is not int or not 0 <= value <= _MOST_SAMPLES:
        raise ValueError(f"{what} is not a count: {str(value)[:50]}")


def _check_provenance(provenance: Mapping[str, Any]) -> None:
    for name, value in provenance.items():
        if not isinstance(value, str | int | float | None):
            raise ValueError(f"provenance {name!r} is neither text nor a number")
    for name in {"n_donors", "n_samples", "epochs", "best_epoch"} & set(provenance):
        _check_count(provenance[name], name)
    if ("epochs" in provenance) != ("best_epoch" in provenance):
        raise ValueError("expected epochs and best_epoch together or neither")
    if not isinstance(provenance.get("command", ""), str):
        raise ValueError("the command is not text")


def _check_accuracy(accuracy: Mapping[str, Any], tissues: set[str]) -> None:
    """Check that figures are numbers and tissues known; a model without evaluation has none."""
    if not accuracy:
        return
    summary, rows = accuracy.get("summary"), accuracy.get("tissues")
    if not isinstance(summary, dict) or not isinstance(rows, list):
        raise ValueError("the accuracy has no summary and tissues")
    if not {"gene_rho_by_fold_mean", "n_predictable_mean"} <= set(summary):
        raise ValueError("the accuracy's summary lacks figures")
    if not isinstance(accuracy.get("settings", {}), dict):
        raise ValueError("the accuracy's settings are no object")
    seen: set[str] = set()
    for row in rows:
        if not isinstance(row, dict) or row.get("tissue") not in tissues - seen:
            raise ValueError("a tissue of the accuracy is unknown or duplicated")
        if "gene_rho_by_fold" not in row:
            raise ValueError(f"the accuracy in {row['tissue']!r} lacks figures")
        seen.add(row["tissue"])
    for figures in (summary, *rows):
        for name, value in figures.items():
            if name != "tissue" and (type(value) not in (int, float) or abs(value) > _LARGEST):
                raise ValueError(f"the accuracy's {name!r} is not a number")


def check_numbers(tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that all arrays hold finite numbers: fractions, or whole numbers as positions.

    Raises
    ------
    ValueError
        If one does not.
    """
    known = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int32)
    for name, tensor in tensors.items():
        if tensor.dtype not in known:
            raise ValueError(
                f"{name} is of type {tensor.dtype}; expected float16, bfloat16, float32, float64"
                " or int32"
            )
        if tensor.numel() == 0:
            continue
        low, high = (float(end) for end in torch.aminmax(tensor))
        if not -_LARGEST <= low <= high <= _LARGEST:  # of NaN neither holds
            raise ValueError(f"{name} holds numbers that are not finite, or beyond any expression")


def check_reference(
    scaler: TissueScaler,
    mean: NDArray[np.float32],
    expression: NDArray[np.float32],
    distance: NDArray[np.float32],
    normalisation: str,
) -> None:
    """Hold scaler and reference against each other: both are of the same samples.

    Means and SDs of log2(1 + expression) are not those of expression, and a panel's CPM sum to a
    million: a wrong scale, unit or tissue seldom fits.

    Parameters
    ----------
    mean, expression, distance, normalisation
        Arrays of :class:`mtm_core.model_reference.Reference`; normalisation of the model.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    if (scaler.sd < CONSTANT_SD).any():
        raise ValueError("an SD of the scaler is not above 0")
    if (scaler.mean < 0).any() or (mean < 0).any() or (expression < 0).any():
        raise ValueError("a mean or quantile of expression is below 0")
    if (distance <= 0).any() or any((np.diff(q, axis=0) < 0).any() for q in (expression, distance)):
        raise ValueError("quantiles of the reference do not rise")
    totals = mean.sum(axis=1, dtype=np.float64)
    if normalisation == "panel-cpm" and not np.allclose(totals, _PANEL_TOTAL, rtol=0.01):
        raise ValueError("mean expression does not sum to a million: it is not in panel CPM")
    median = expression[len(expression) // 2]
    if (np.abs(median - scaler.mean) > 3 * scaler.sd + 0.01).any():  # at most 1 SD, by Hotelling
        raise ValueError("the scaler's means are far from the reference's medians")
    if scaler.scale == "log2":
        misfit = scaler.mean - scaler.sd > np.log2(1 + mean) + 0.1  # by Jensen's inequality
    else:
        misfit = np.abs(scaler.mean - mean) > 3 * scaler.sd + 0.1 * mean + 0.01
    if misfit.any():
        raise ValueError(f"the scaler's means are not of the scale {scaler.scale!r}")
