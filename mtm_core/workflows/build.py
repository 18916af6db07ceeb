"""From GTEx's files to a model that is evaluated and ready to use, by one call.

::

    from mtm_core import BuildOptions, build_model

    build_model(BuildOptions(Path("trained_models/gtex_v8"), release="v8"))

What is made on the way is in a folder of its own beside the model, with a ledger of the steps that
are done: a run that is killed, at any moment, goes on from there when it is called again with the
same options. The model's folder appears whole, or not at all.
"""

from __future__ import annotations

from pathlib import Path

from mtm_core.safe_output import OwnFolder, check_output, discard
from mtm_core.workflows.associations import ASSOCIATING
from mtm_core.workflows.build_cohort import get_files, make_cohort
from mtm_core.workflows.build_model_steps import (
    evaluate,
    find_associations,
    fit_model,
    write_model,
)
from mtm_core.workflows.build_options import BuildOptions
from mtm_core.workflows.build_plan import plan_build
from mtm_core.workflows.build_run import WRITE, BuildRun, check_same
from mtm_core.workflows.lock import held
from mtm_core.workflows.progress import OnProgress

_WORK = "a build"


def build_model(options: BuildOptions, on_progress: OnProgress | None = None) -> Path:
    """Build a model: download, prepare, fit, evaluate, associate, write. Go on where a run stopped.

    Parameters
    ----------
    options
        Options of the build.
    on_progress
        Called with all steps whenever one moves.

    Returns
    -------
    pathlib.Path
        The model's folder.

    Raises
    ------
    NeedsError
        If disk, memory or network are lacking; nothing was started.
    OutputError
        If the output is there, or a build of other options or files is under way in its place.
    SelectionError, InputFileError, DownloadError, CohortError
        If options, files or the server are not what they should be.

    Examples
    --------
    >>> from mtm_core import BuildOptions, Predictor, build_model
    >>> folder = build_model(
    ...     BuildOptions("models/own", cohort="cohort.h5ad", method="ridge", evaluate=False)
    ... )
    >>> Predictor.load(folder).artefact.name
    'own'
    """
    options.check()
    plan = plan_build(options)
    if not plan.is_finished:
        check_output(options.output, overwrite=options.overwrite, folder=True)
        plan.needs.check()
    own = OwnFolder.claim(options.work_folder, _WORK, inputs=plan.given)
    own.own("gtex/", "fit/", "evaluation/", "associations/", "cohort.h5ad", "steps.json", "lock")
    with held(options.work_folder / "lock", options.work_folder):
        if options.restart:
            _begin_anew(options.work_folder)
        return _do_all(BuildRun(options, plan, on_progress))


def _do_all(run: BuildRun) -> Path:
    """Do every step that is left."""
    options = run.options
    check_same(run.ledger, options)
    run.ledger.begin(options.identity())
    if options.cohort is None:
        files = get_files(run)
        cohort, sha256 = run.work / "cohort.h5ad", make_cohort(run, files)
    else:
        cohort, sha256 = options.cohort, run.ledger.sha256(options.cohort)
    of = {"cohort": sha256}
    fitting = {"method": options.method, "preset": options.preset, "set": list(options.settings)}
    name = f"Fit {options.method}"
    run.step("fit", (name,), of | fitting, lambda: fit_model(run, name, cohort))
    if run.methods:
        scored = {
            "methods": list(run.methods),
            "folds": options.folds,
            "seed": options.seed,
            "source": options.source,
            "resamples": options.resamples,
            "combinations": list(options.combinations),
        }
        evaluating = of | fitting | scored
        run.step("evaluation", run.evaluating, evaluating, lambda: evaluate(run, cohort))
    if run.plan.has_phenotypes:
        run.step("associations", (ASSOCIATING,), of, lambda: find_associations(run, cohort))
    made_of = of | fitting | {"evaluated": list(run.methods)}
    run.step("model", (WRITE,), made_of, lambda: write_model(run, made_of))
    for name in ("fit", "evaluation", "associations"):
        discard(run.work / name)
    return options.output


def _begin_anew(work: Path) -> None:
    """Delete what was made of the downloaded files."""
    for name in ("fit", "evaluation", "associations"):
        discard(work / name)
    for name in ("steps.json", "cohort.h5ad"):
        (work / name).unlink(missing_ok=True)
