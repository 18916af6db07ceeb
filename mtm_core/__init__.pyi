from mtm_core.artefact import Artefact as Artefact
from mtm_core.data.files.reading_options import ReadingOptions as ReadingOptions
from mtm_core.data.people.metadata import SampleMetadata as SampleMetadata
from mtm_core.data.people.metadata import read_metadata as read_metadata
from mtm_core.data.tables.expression import ExpressionTable as ExpressionTable
from mtm_core.data.tables.expression import read_expression as read_expression
from mtm_core.errors import ArtefactError as ArtefactError
from mtm_core.errors import ExpressionError as ExpressionError
from mtm_core.errors import InputFileError as InputFileError
from mtm_core.errors import MTMError as MTMError
from mtm_core.errors import SelectionError as SelectionError
from mtm_core.inference.export import write_prediction as write_prediction
from mtm_core.inference.models import bundled_models as bundled_models
from mtm_core.inference.models import find_model as find_model
from mtm_core.inference.predictor import Predictor as Predictor
from mtm_core.inference.predictor import Prepared as Prepared
from mtm_core.places import SAMPLES as SAMPLES
from mtm_core.workflows.build import build_model as build_model
from mtm_core.workflows.build_options import BuildOptions as BuildOptions

__version__: str
