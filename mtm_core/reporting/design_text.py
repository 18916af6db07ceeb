"""Description of a linear model for the Methods of a paper."""

from __future__ import annotations

from mtm_core.studies.design import StudyDesign

REFERENCE = (
    "Smyth GK. Linear models and empirical Bayes methods for assessing differential expression in"
    " microarray experiments. Statistical Applications in Genetics and Molecular Biology"
    " 2004;3(1):3. doi:10.2202/1544-6115.1027"
)
BLOCK_REFERENCE = (
    "Smyth GK, Michaud J, Scott HS. Use of within-array replicate spots for assessing differential"
    " expression in microarray experiments. Bioinformatics 2005;21(9):2067-2075."
    " doi:10.1093/bioinformatics/bti270"
)


def describe_test(design: StudyDesign, *, with_error: bool | None = None) -> str:
    """Return a paragraph on the model, its tests and what they are of.

    Parameters
    ----------
    with_error
        Whether tests allow for prediction error; ``None`` if both are given.
    """
    n = len(design.samples)
    left_out = (
        f" ({len(design.dropped)} without a value were left out)" if len(design.dropped) else ""
    )
    contrasts = "; ".join(contrast.meaning for contrast in design.contrasts)
    text = (
        f"Log2 expression of every gene was fitted by a linear model ({design.formula}) in {n}"
        f" samples{left_out}. Tested: {contrasts}. Variances were moderated by empirical Bayes"
        " (Smyth 2004), with a trend over mean expression in the measured tissue; FDR by Benjamini"
        " and Hochberg within each tissue."
    )
    if design.block and design.block_as == "random":
        text += (
            f" Samples of the same {design.block} were treated as correlated, with one "
            f"correlation for all genes of a tissue, estimated by REML (Smyth et al. 2005)."
        )
    elif design.block:
        text += f" Each {design.block} had its own level."
    allowing = (
        " In predicted tissues, tests of the tissue's expression allow for prediction error: the "
        "variance of each value, from its calibrated interval, and the error of the model that "
        "is common to all people, from the distance of the contrast and the number of reference "
        "donors, are added to the variance of the contrast. The model is assumed to be valid for "
        "these people."
    )
    alone = (
        " In predicted tissues, tests of the predicted expression ask whether the predictions "
        "differ; predictions are computed from the measured tissue."
    )
    text += alone if with_error is False else allowing if with_error else alone + allowing
    return text


def design_methods(design: StudyDesign) -> str:
    """Return the paragraph with its references, as a text."""
    cited = [REFERENCE, *([BLOCK_REFERENCE] if design.blocks is not None else [])]
    listed = [f"{i}. {text}" for i, text in enumerate(cited, start=1)]
    return "\n".join([describe_test(design), "", "References", *listed]) + "\n"
