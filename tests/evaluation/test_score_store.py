"""Scores that are stored are taken again, and give the same tables; others are scored anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtm_core.data.cohort.cohort import read_cohort, write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.workflows import evaluate_scores
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scored") / "cohort.h5ad"
    write_cohort(
        simulate_cohort(SimulationConfig(n_donors=50, n_tissues=3, n_genes=6, presence=(1, 1))),
        path,
    )
    return path


def tables_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.[cp]*")}


def test_a_method_is_scored_once(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def counted(predictions, *given, **named):  # type: ignore[no-untyped-def]
        scored.append(str(predictions.attrs["method"]))
        if len(scored) == stop_at:
            raise KeyboardInterrupt
        return accuracy(predictions, *given, **named)

    accuracy, stop_at = evaluate_scores.accuracy, 2
    monkeypatch.setattr(evaluate_scores, "accuracy", counted)

    def run(output: Path, **changed: object) -> dict[str, bytes]:
        methods = ("ridge", "training-mean")
        given: dict[str, object] = {"methods": methods, "folds": 2, "resamples": 100} | changed
        evaluate_methods(EvaluateOptions(cohort, output, **given))  # type: ignore[arg-type]
        return tables_in(output)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out")
    stop_at = 0
    gone_on = run(tmp_path / "out")
    assert scored == ["ridge", "training-mean", "training-mean"]
    assert gone_on == run(tmp_path / "at once")
    scored.clear()
    assert run(tmp_path / "out") == gone_on
    assert scored == []
    # Whatever the scores come from is scored anew: resamples, and what is known of the donors.
    run(tmp_path / "out", resamples=120)
    assert scored == ["ridge", "training-mean"]
    data = read_cohort(cohort)
    data.uns["donors"]["age"] = data.uns["donors"]["age"].to_numpy()[::-1]
    write_cohort(data, cohort, overwrite=True)
    assert run(tmp_path / "out") != gone_on
    assert len(scored) == 4
    # One that was cut off while it was written counts as none.
    for file in (tmp_path / "out" / "scores").glob("ridge-*/scores.json"):
        file.unlink()
    run(tmp_path / "out")
    assert scored[4:] == ["ridge"]
