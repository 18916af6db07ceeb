"""Multi-tissue transcriptome mapping: one person's blood in, the expression of 48 tissues out.

::

    from mtm_core import SAMPLES, Predictor, read_expression

    predictor = Predictor.load("gtex_v8_acmg59_stack")
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    prediction = predictor.predict(table, source="Whole Blood", targets=["Lung", "Liver"])

What is in ``__all__`` is imported when it is first asked for: torch takes seconds.
"""

from importlib import import_module

__version__ = "0.2.0.dev0"

_HOMES = {
    "ActivityOptions": "mtm_core.workflows.activity",
    "ActivityScoring": "mtm_core.studies.activity",
    "Artefact": "mtm_core.artefact",
    "ArtefactError": "mtm_core.errors",
    "AssociationOptions": "mtm_core.workflows.associations",
    "BuildOptions": "mtm_core.workflows.build_options",
    "CompareOptions": "mtm_core.workflows.compare",
    "CompositionOptions": "mtm_core.workflows.composition",
    "DesignOptions": "mtm_core.workflows.compare_designs",
    "DiseaseOptions": "mtm_core.workflows.study_predictions",
    "EnrichOptions": "mtm_core.workflows.enrich_options",
    "EnrichmentOptions": "mtm_core.studies.enrichment",
    "EvaluateOptions": "mtm_core.workflows.evaluate_options",
    "ExpressionError": "mtm_core.errors",
    "ExpressionTable": "mtm_core.data.tables.expression",
    "ExternalOptions": "mtm_core.workflows.study_external",
    "InputFileError": "mtm_core.errors",
    "JudgeOptions": "mtm_core.workflows.judge",
    "LatentOptions": "mtm_core.workflows.study_model",
    "MTMError": "mtm_core.errors",
    "OneTable": "mtm_core.studies.table_swaps",
    "OwnCohort": "mtm_core.studies.own_cohort",
    "PredictOptions": "mtm_core.workflows.predict_options",
    "PredictableGenesOptions": "mtm_core.workflows.study_model",
    "PredictionOptions": "mtm_core.inference.options",
    "Predictor": "mtm_core.inference.predictor",
    "PrepareOptions": "mtm_core.workflows.prepare",
    "Prepared": "mtm_core.inference.prepared",
    "QualityOptions": "mtm_core.workflows.quality",
    "ReadingOptions": "mtm_core.data.files.reading_options",
    "SAMPLES": "mtm_core.places",
    "SampleMetadata": "mtm_core.data.people.metadata",
    "SavedAlignment": "mtm_core.inference.saved_alignment",
    "SelectionError": "mtm_core.errors",
    "StudyDesign": "mtm_core.studies.design",
    "TrainOptions": "mtm_core.workflows.train",
    "TraitsOptions": "mtm_core.workflows.study_predictions",
    "associate": "mtm_core.workflows.associations",
    "build_model": "mtm_core.workflows.build",
    "bundled_models": "mtm_core.model_places",
    "check_quality": "mtm_core.workflows.quality",
    "compare_by_design": "mtm_core.studies.linear_comparison",
    "compare_samples": "mtm_core.workflows.compare",
    "compare_tables": "mtm_core.studies.table_swaps",
    "enrich_results": "mtm_core.workflows.enrich",
    "estimate_blood_composition": "mtm_core.workflows.composition",
    "estimate_composition": "mtm_core.inference.blood_cells",
    "evaluate_methods": "mtm_core.workflows.evaluate",
    "find_model": "mtm_core.model_places",
    "judge_predictions": "mtm_core.workflows.judge",
    "make_design": "mtm_core.studies.design",
    "model_genes": "mtm_core.studies.gene_models",
    "out_of_fold_accuracy": "mtm_core.workflows.model_accuracy",
    "predict_samples": "mtm_core.workflows.predict",
    "prepare_cohort": "mtm_core.workflows.prepare",
    "read_alignment": "mtm_core.inference.saved_alignment",
    "read_expression": "mtm_core.data.tables.expression",
    "read_metadata": "mtm_core.data.people.metadata_file",
    "review_samples": "mtm_core.studies.sample_review",
    "score_activity": "mtm_core.workflows.activity",
    "study_external_samples": "mtm_core.workflows.study_external",
    "study_latent_codes": "mtm_core.workflows.study_model",
    "study_predictable": "mtm_core.workflows.study_model",
    "study_preserved_differences": "mtm_core.workflows.study_predictions",
    "study_preserved_traits": "mtm_core.workflows.study_predictions",
    "train_model": "mtm_core.workflows.train",
    "write_alignment": "mtm_core.inference.saved_alignment",
    "write_prediction": "mtm_core.inference.export",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
