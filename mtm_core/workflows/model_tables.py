"""What lies beside a model: its evaluation, its cohort's associations and its studies."""

from __future__ import annotations

from mtm_core.studies.beside_model import associations_of as associations_of
from mtm_core.studies.beside_model import card_of as card_of
from mtm_core.studies.beside_model import evaluation_of as evaluation_of
from mtm_core.studies.beside_model import history_of as history_of
from mtm_core.studies.beside_model import studies_of as studies_of
from mtm_core.studies.shipped import Shipped as Shipped
from mtm_core.studies.shipped import StudyTables as StudyTables
