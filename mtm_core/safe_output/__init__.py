"""Every file and folder that the program writes: whole or not at all, and in nobody's place.

One rule for all writers:

- What is written is written beside its place, in a hidden folder of ours, and gets its name when
  it is whole. A run that is killed leaves at most ``.NAME.mtm-partial-…``, which the next run for
  the same place deletes: it carries our mark, and no process holds it any more.
- What exists already is never replaced unasked. With ``--overwrite`` a plain file is; a folder is
  only where it carries our mark (``.mtm-output.json``: what we wrote in it) and nothing else.
- An output is never one of the inputs, also not by a link, nor inside of one or around it.
- A full disk, a quota, a folder that may not be written to: one :class:`OutputError`.

:class:`OwnFolder` is for folders that a command comes back to: training, evaluation.
"""

from mtm_core.safe_output.in_words import said_in_words
from mtm_core.safe_output.own_folder import OwnFolder
from mtm_core.safe_output.place import check_output, refuse_inputs
from mtm_core.safe_output.whole_file import whole_file
from mtm_core.safe_output.writing import discard, put_folder, replacing, scratch_folder, writing

__all__ = [
    "OwnFolder",
    "check_output",
    "discard",
    "put_folder",
    "refuse_inputs",
    "replacing",
    "said_in_words",
    "scratch_folder",
    "whole_file",
    "writing",
]
