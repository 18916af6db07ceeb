"""The command line that repeats a prediction."""

from __future__ import annotations

import xarray as xr


def predict_arguments(
    prediction: xr.Dataset, table: str, *, output: str, metadata: str | None = None
) -> list[str]:
    """Give the words of the ``mtm predict`` that makes ``prediction`` again.

    Unit and alignment are given as they were used, so that nothing is guessed a second time. Join
    the words with :func:`shlex.join`: the names of files are the user's.

    Parameters
    ----------
    prediction
        Of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
    table, metadata
        Names of the user's files; ``metadata`` where age and sex were read.
    output
        File to write.
    """
    attrs = prediction.attrs
    words = [
        *("mtm", "predict", _as_path(table)),
        *("--model", attrs["model"]),
        *("--source", attrs["source"]),
        *("--targets", ",".join(str(tissue) for tissue in prediction["tissue"].values)),
        *("--unit", attrs["input_unit"]),
        *("--alignment", attrs["alignment"]),
    ]
    if metadata is not None:
        words += ["--metadata", _as_path(metadata)]
    return [*words, "--output", _as_path(output)]


def _as_path(name: str) -> str:
    """Keep a file name that begins with a dash from being read as an option."""
    return f"./{name}" if name.startswith("-") else name
