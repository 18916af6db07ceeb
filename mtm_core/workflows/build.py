"""From GTEx's files to a model that is evaluated and ready to use, by one call.

::

    from mtm_core import BuildOptions, build_model

    build_model(BuildOptions(Path("trained_models/gtex_v8"), release="v8"))

What is made on the way is in a folder of its own beside the model, with a ledger of the steps that
are done: a run that is killed, at any moment, goes on from there when it is called again with the
same options. The model's folder appears whole, or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import read_cohort, summarise, tissue_names
from mtm_core.errors import OutputError
from mtm_core.evaluation.results import EVALUATION, TABLES, EvaluationTables
from mtm_core.inference.verification import write_verification
from mtm_core.memory_budget import in_words
from mtm_core.model_folder import LICENCE, MODEL
from mtm_core.reporting.model_card import render_model_card
from mtm_core.safe_output import OwnFolder, check_output, discard, writing
from mtm_core.sharing.licence import licence_text
from mtm_core.training.checkpoint import CHECKPOINT_NAME
from mtm_core.training.hardware import Hardware
from mtm_core.workflows.associations import ASSOCIATING, AssociationOptions, associate
from mtm_core.workflows.build_files import BuildFiles
from mtm_core.workflows.build_options import FIRST_STEP_OF, BuildOptions
from mtm_core.workflows.build_plan import BuildPlan, check_data, plan_build
from mtm_core.workflows.download import DownloadOptions, download_release
from mtm_core.workflows.evaluate import EvaluateOptions, evaluate_methods, evaluation_steps
from mtm_core.workflows.ledger import DoneStep, Ledger
from mtm_core.workflows.lock import held
from mtm_core.workflows.prepare import PrepareOptions, prepare_cohort
from mtm_core.workflows.progress import Advance, OnProgress, Steps
from mtm_core.workflows.run_settings import run_config
from mtm_core.workflows.train import TrainOptions, fit_method, train_model

_WORK = "a build"
_PREPARE, _WRITE = "Prepare the cohort", "Write the model"


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
        If disk, memory or network are lacking; nothing was started. OutputError
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
        return _Build(options, plan, on_progress).run()


class _Build:
    """One run: its ledger, its steps, and what each of them does."""

    def __init__(
        self, options: BuildOptions, plan: BuildPlan, on_progress: OnProgress | None
    ) -> None:
        self.options, self.work = options, options.work_folder
        self.ledger = Ledger(self.work / "steps.json")
        self.methods = options.evaluated(with_phenotypes=plan.has_phenotypes)
        self.evaluating = (
            evaluation_steps(self.methods, options.combinations) if self.methods else ()
        )
        self.files_step = plan.files_step
        self.plan = plan
        names = [
            *([] if options.cohort else [self.files_step, _PREPARE]),
            f"Fit {options.method}",
            *self.evaluating,
            *([ASSOCIATING] if plan.has_phenotypes else []),
            _WRITE,
        ]
        self.steps = Steps(names, on_progress)

    def run(self) -> Path:
        """Do every step that is left."""
        options = self.options
        check_same(self.ledger, options)
        self.ledger.begin(options.identity())
        if options.cohort is None:
            files = self._files()
            cohort, sha256 = self.work / "cohort.h5ad", self._prepared(files)
        else:
            cohort, sha256 = options.cohort, self.ledger.sha256(options.cohort)
        of = {"cohort": sha256}
        fit = {"method": options.method, "preset": options.preset, "set": list(options.settings)}
        name = f"Fit {options.method}"
        self._step("fit", (name,), of | fit, lambda: self._fit(name, cohort))
        if self.methods:
            scored = {
                "methods": list(self.methods),
                "folds": options.folds,
                "seed": options.seed,
                "source": options.source,
                "resamples": options.resamples,
                "combinations": list(options.combinations),
            }
            evaluating = of | fit | scored
            self._step("evaluation", self.evaluating, evaluating, lambda: self._evaluate(cohort))
        if self.plan.has_phenotypes:
            self._step("associations", (ASSOCIATING,), of, lambda: self._associate(cohort))
        made_of = of | fit | {"evaluated": list(self.methods)}
        self._step("model", (_WRITE,), made_of, lambda: self._write(made_of))
        for name in ("fit", "evaluation", "associations"):
            discard(self.work / name)
        return options.output

    def _step(
        self,
        entry: str,
        names: tuple[str, ...],
        of: Mapping[str, Any],
        work: Callable[[], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Do a step, shown under ``names``, unless the ledger has it of the same."""
        done = self.ledger.find(entry)
        if done is not None and dict(done.of) == dict(of) and self._is_there(entry, done):
            for name in names:
                seconds, peak, detail = done.result["took"].get(name, (0.0, 0, ""))
                self.steps.was_done(name, seconds=seconds, peak_bytes=peak, detail=detail)
            return done.result
        if entry in ("fit", "evaluation", "associations"):
            self.ledger.forget("model")
        self.ledger.forget(entry)
        result = dict(work())
        took = {
            step.name: (step.seconds, step.peak_bytes, step.detail)
            for step in self.steps.all
            if step.name in names
        }
        seconds = sum(part[0] for part in took.values())
        peak = max(part[1] for part in took.values())
        self.ledger.enter(entry, DoneStep(dict(of), result | {"took": took}, seconds, peak))
        return result

    def _is_there(self, entry: str, done: DoneStep) -> bool:
        """Tell whether what a step made is there as it was made, or in the finished model."""
        if self.plan.is_finished or entry == "model":
            return self.plan.is_finished
        made: Mapping[str, str] = done.result.get("made", {})
        return all(
            Path(path).is_file() and self.ledger.sha256(Path(path)) == sha256
            for path, sha256 in made.items()
        )

    def _made(self, *paths: Path) -> dict[str, Any]:
        return {"made": {str(path.absolute()): self.ledger.sha256(path) for path in paths}}

    def _files(self) -> BuildFiles:
        """Download the files, or look at those that are there."""
        options, of = self.options, {"release": self.options.release}

        def download() -> Mapping[str, Any]:
            with self.steps.running(self.files_step, unit="bytes") as advance:
                where = DownloadOptions(
                    self.work / "gtex", options.release or "v8", base_url=options.mirror
                )
                shown = _Downloads(advance, self.plan.sizes)
                paths = download_release(where, shown)
                advance(*shown.ended())
                return self._made(*paths.values()) | {
                    "files": {kind: str(path) for kind, path in paths.items()}
                }

        if options.release is None:
            files = self.plan.files
            assert files is not None
            with self.steps.running(self.files_step) as advance:
                for path in files.by_kind().values():
                    advance(0, detail=path.name)
                    self.ledger.sha256(path)
                advance(0, detail=f"{len(files.by_kind())} files")
            return files
        result = self._step("files", (self.files_step,), of, download)
        files = BuildFiles.of({kind: Path(path) for kind, path in result["files"].items()})
        changed = {
            "subject_phenotypes": options.subject_phenotypes,
            "gene_table": options.gene_table,
        }
        return replace(files, **{name: path for name, path in changed.items() if path is not None})

    def _prepared(self, files: BuildFiles) -> str:
        """Make the cohort; give the SHA-256 of its file."""
        options, output = self.options, self.work / "cohort.h5ad"
        gene_type = options.type_of_genes(has_gene_table=files.gene_table is not None)
        genes = {} if options.genes is None else {"genes-to-keep": options.genes}
        inputs = {
            kind: self.ledger.sha256(path) for kind, path in (files.by_kind() | genes).items()
        }
        chosen = {
            "gene_type": gene_type,
            "normalise": options.normalise,
            "minimum_samples": options.minimum_samples,
            "minimum_tissues": options.minimum_tissues,
        }
        self._same_inputs(inputs)

        def prepare() -> Mapping[str, Any]:
            with self.steps.running(_PREPARE, unit="genes") as advance:
                cohort = prepare_cohort(
                    PrepareOptions(
                        files.expression,
                        files.sample_attributes,
                        output,
                        subject_phenotypes=files.subject_phenotypes,
                        gene_table=files.gene_table,
                        gene_type=gene_type,
                        genes=options.genes,
                        normalise=options.normalise,
                        minimum_samples=options.minimum_samples,
                        minimum_tissues=options.minimum_tissues,
                        overwrite=True,
                    ),
                    lambda done, total: advance(done, max(total, 0)),
                )
                found = summarise(cohort)
                check_data(options, tissue_names(cohort), found.n_donors)
                advance(
                    found.n_genes,
                    found.n_genes,
                    f"{found.n_genes:,} genes, {found.n_samples:,} samples of {found.n_donors:,}"
                    f" donors, {found.n_tissues} tissues",
                )
            return self._made(output)

        self._step("cohort", (_PREPARE,), {"inputs": inputs} | chosen, prepare)
        return self.ledger.sha256(output)

    def _same_inputs(self, inputs: Mapping[str, str]) -> None:
        """Refuse files of other content than those that the build began with."""
        before = self.ledger.find("cohort")
        if before is None:
            return
        known: Mapping[str, str] = before.of["inputs"]
        changed = sorted(kind for kind in {*known, *inputs} if known.get(kind) != inputs.get(kind))
        if changed:
            raise OutputError(
                f"{self.work} holds a build of other files: {', '.join(changed)} changed since "
                f"(by SHA-256). Give the same files to continue, start again with --restart, or "
                f"name another --output."
            )

    def _fit(self, name: str, cohort: Path) -> Mapping[str, Any]:
        options, output = self.options, self.work / "fit"
        with self.steps.running(name) as advance:
            if options.method == "mtm":
                train_model(
                    TrainOptions(
                        cohort,
                        output,
                        preset=options.preset,
                        settings=options.settings,
                        resume=(output / CHECKPOINT_NAME).exists(),
                        overwrite=True,
                        command=options.command,
                    ),
                    lambda now: advance(now.epoch, now.n_epochs, "epochs"),
                )
            else:
                data = read_cohort(cohort)
                n_tissues = len(tissue_names(data))
                config = run_config(options.preset, options.settings, data.n_vars, n_tissues)
                # What takes days is cached as it comes; what takes minutes is saved as a model
                # alone.
                cache = self._cached_fits() if options.method == "stack" else None
                fitted = fit_method(
                    options.method,
                    data,
                    config,
                    Hardware(),
                    cache,
                    on_step=lambda what, done, total: advance(done, total, what),
                )
                made_by = {"command": options.command}
                artefact = Artefact.of(fitted, data, name=options.output.name, provenance=made_by)
                advance(0, 0, "")
                with writing(output, overwrite=True, folder=True, kind=MODEL) as place:
                    artefact.save(place)
        return self._made(output / "model.json", output / "model.safetensors")

    def _cached_fits(self) -> Path:
        """Make the folder in which the evaluation caches its fits."""
        folder = OwnFolder.claim(self.work / "evaluation", EVALUATION)
        folder.own("fits/")
        return folder.path / "fits"

    def _evaluate(self, cohort: Path) -> Mapping[str, Any]:
        options, output = self.options, self.work / "evaluation"
        evaluate_methods(
            EvaluateOptions(
                cohort,
                output,
                methods=self.methods,
                folds=options.folds,
                seed=options.seed,
                source=options.source,
                preset=options.preset,
                settings=options.settings,
                jobs=options.jobs,
                resamples=options.resamples,
                combinations=options.combinations,
                overwrite=True,
            ),
            self.steps.merged,
        )
        return self._made(*(output / name for name in TABLES if (output / name).exists()))

    def _associate(self, cohort: Path) -> Mapping[str, Any]:
        output = self.work / "associations"
        associate(AssociationOptions(cohort, output, overwrite=True), self.steps.merged)
        return self._made(*sorted(path for path in output.iterdir() if path.name[0] != "."))

    def _write(self, of: Mapping[str, Any]) -> Mapping[str, Any]:
        """Put the model together beside its place, and give it its place.

        It is entered before it has its place: a run that is killed in between is known by it.
        """
        options = self.options
        with self.steps.running(_WRITE) as advance:
            artefact = replace(Artefact.load(self.work / "fit"), name=options.output.name)
            tables = EvaluationTables.load(self.work / "evaluation") if self.methods else None
            if tables is not None:
                artefact = replace(artefact, accuracy=tables.of_method(artefact.method.name))
            with writing(
                options.output, overwrite=options.overwrite, folder=True, kind=MODEL
            ) as place:
                if tables is not None:
                    _copy(self.work / "evaluation", place / "evaluation", TABLES)
                if self.plan.has_phenotypes:
                    _copy(self.work / "associations", place / "associations")
                card = render_model_card(artefact, tables)
                (place / "README.md").write_text(card, encoding="utf-8")
                if options.licence is not None:
                    text = licence_text(options.licence, options.licence_file)
                    (place / LICENCE).write_text(text, encoding="utf-8")
                artefact.save(place)
                write_verification(place)
                size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
                result = {"sha256": hashlib.sha256((place / "model.json").read_bytes()).hexdigest()}
                self.ledger.enter("model", DoneStep(of, result | {"took": {}}, 0.0, 0))
            advance(0, detail=f"{in_words(size)} in {options.output}")
        return result


class _Downloads:
    """Adds up files that come one after the other, for one step."""

    def __init__(self, advance: Advance, sizes: Mapping[str, int]) -> None:
        self._advance, self._total = advance, sum(sizes.values())
        self._done: dict[str, int] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        """Say that of the file ``name`` so much is there."""
        self._done[name] = done
        self._advance(sum(self._done.values()), max(self._total, total), name)

    def ended(self) -> tuple[int, int, str]:
        """Say what came."""
        n_bytes = sum(self._done.values())
        return n_bytes, n_bytes, in_words(n_bytes) if n_bytes else "files that were there"


def check_same(ledger: Ledger, options: BuildOptions) -> None:
    """Refuse to go on with steps that were done under other options.

    Raises
    ------
    OutputError
        If there are such steps: which options changed, and what to do.
    """
    now, before = options.identity(), ledger.options
    changed = [
        f"--{name.replace('_', '-')} {_shown(before[name])}, now {_shown(now[name])}"
        for name, step in FIRST_STEP_OF.items()
        if name in before and before[name] != now[name] and ledger.find(step) is not None
    ]
    if changed:
        raise OutputError(
            f"{options.work_folder} holds a build with other options: {'; '.join(changed)}. Give "
            f"the same options to continue, start again with --restart, or name another --output."
        )


def _shown(value: object) -> str:
    if value is None or value == []:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _begin_anew(work: Path) -> None:
    """Delete what was made of the downloaded files."""
    for name in ("fit", "evaluation", "associations"):
        discard(work / name)
    for name in ("steps.json", "cohort.h5ad"):
        (work / name).unlink(missing_ok=True)


def _copy(source: Path, target: Path, names: tuple[str, ...] | None = None) -> None:
    """Copy the plain files of a folder of ours, without its mark."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name[0] != "." and (names is None or path.name in names):
            shutil.copyfile(path, target / path.name)
