"""What a model is asked for a session's samples: its options, files and tissues, and their key."""

from __future__ import annotations

import json
from dataclasses import replace

from mtm_core.dashboard.state.sample_files import SampleFiles
from mtm_core.data.files.reading_options import AS_IT_LIES
from mtm_core.data.people.metadata_options import AS_FOUND
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.reporting.command_words import InputFiles
from mtm_core.workflows.server_limits import preparing_bytes

_FIRST_TARGETS = (
    "Adipose - Subcutaneous",
    "Brain - Cortex",
    "Heart - Left Ventricle",
    "Liver",
    "Lung",
    "Muscle - Skeletal",
)
Key = tuple[str, ...]


class SampleOptions(SampleFiles):
    """Samples, and what a model is asked for them."""

    def options(self, predictor: Predictor) -> PredictionOptions:
        """Return all that the user has chosen, as it is now."""
        batching = self.batching
        batch = "" if batching.as_batch else batching.column_in(self.metadata)
        return PredictionOptions(
            self.source,
            self.chosen_targets(predictor),
            self.unit or "auto",
            "auto" if batching.saved else self.alignment,
            AS_IT_LIES if self.table is None else self.table.options,
            AS_FOUND if self.metadata is None else self.metadata.options,
            batch=batch,
            alignment_from=batching.file if batching.saved else "",
            as_batch=batching.as_batch if batching.saved else "",
            further=tuple(
                FurtherTissue(one.tissue, one.unit or "auto", one.column_in(self.metadata))
                for one in self.used_further(predictor)
            ),
            near_people=self.near_people,
        )

    def files(self, predictor: Predictor) -> InputFiles:
        """Name the files that a prediction is made from: metadata where they are read."""
        columns = [self.batching.column_in(self.metadata)]
        columns += [one.column_in(self.metadata) for one in self.used_further(predictor)]
        is_read = predictor.covariates or any(columns)
        known = self.metadata if is_read else None
        tables, transcripts = ((), "") if self.table is None else self.table.report.given
        further = tuple(one.table.report.file for one in self.used_further(predictor))
        return InputFiles(tables, "" if known is None else known.file, transcripts, further)

    def chosen_targets(self, predictor: Predictor) -> tuple[str, ...]:
        """Return the tissues to predict that the model has and the samples are not of."""
        others = [tissue for tissue in predictor.tissues if tissue not in self.sources]
        if self.targets is not None:
            return tuple(tissue for tissue in self.targets if tissue in others)
        first = [tissue for tissue in _FIRST_TARGETS if tissue in others]
        return tuple(first or others[: len(_FIRST_TARGETS)])

    def people_key(self, predictor: Predictor) -> Key:
        """Tell the people, and how the model reads them, from others, whatever is predicted."""
        known = str(self.metadata.state) if predictor.covariates and self.metadata else ""
        return (*self._preparation(predictor), known)

    def _preparation(self, predictor: Predictor) -> Key:
        options = replace(self.options(predictor), targets=None, metadata=AS_FOUND)
        further = [one.sha256 for one in self.used_further(predictor)]
        named = options.batch or any(one.batch for one in options.further)
        batches = str(self.metadata.state) if named and self.metadata else ""
        given = json.dumps([options.to_json(), further, batches, self.batching.digest])
        return (self.table_sha256, predictor.artefact.sha256, given)

    def _preparing_bytes(self, predictor: Predictor) -> int:
        """Get what it takes to make all tables ready."""
        further = [one.table for one in self.used_further(predictor)]
        tables = further if self.table is None else [self.table, *further]
        n_genes = len(predictor.artefact.genes)
        return sum(
            preparing_bytes(len(table.values), table.values.shape[1], n_genes) for table in tables
        )
