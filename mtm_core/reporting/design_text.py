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


COUNT_REFERENCES = (
    "Love MI, Huber W, Anders S. Moderated estimation of fold change and dispersion for RNA-seq "
    "data with DESeq2. Genome Biology 2014;15:550. doi:10.1186/s13059-014-0550-8",
    "Muzellec B, Telenczuk M, Cabeli V, Andreux M. PyDESeq2: a python package for bulk RNA-seq"
    " differential expression analysis. Bioinformatics 2023;39(9):btad547."
    " doi:10.1093/bioinformatics/btad547",
)


def describe_counts(design: StudyDesign, version: str) -> str:
    """Return a paragraph on a model of measured counts by PyDESeq2 of ``version``."""
    contrasts = "; ".join(contrast.meaning for contrast in design.contrasts)
    own = f" Each {design.block} had its own level." if design.block else ""
    left_out = (
        f" ({len(design.dropped)} without a value were left out)" if len(design.dropped) else ""
    )
    return (
        f"Measured counts of every gene were fitted by a negative binomial model ({design.formula})"
        f" in {len(design.samples)} samples{left_out} with PyDESeq2 {version} (Love et al. 2014;"
        f" Muzellec et al. 2023).{own} Tested by Wald's test: {contrasts}; FDR by Benjamini and"
        " Hochberg, with independent filtering. Fold changes are not shrunk."
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
