"""Latent codes of a model as its page shows them: where they are from, and what they resemble."""

from __future__ import annotations

from mtm_core.studies.latent import LatentModel as LatentModel
from mtm_core.studies.latent import find_mtm as find_mtm
from mtm_core.studies.likeness import Likeness as Likeness
from mtm_core.studies.likeness import Map as Map
from mtm_core.studies.likeness import compare_likeness as compare_likeness
from mtm_core.studies.likeness import decoded_mean as decoded_mean
from mtm_core.studies.likeness import map_of as map_of
from mtm_core.studies.likeness import mean_profiles as mean_profiles
