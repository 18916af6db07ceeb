"""Widgets of a linear model: the column that is compared, covariates, blocks, the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.layout import download_table
from mtm_core.data.notes import counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.phenotypes import plain_name
from mtm_core.errors import SelectionError
from mtm_core.escaping import plain, plain_message
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.compare_designs import (
    Asked,
    BlockAs,
    Contrast,
    Factor,
    StudyDesign,
    Term,
    formula_text,
    make_design,
)
from mtm_core.workflows.comparisons import HIGHER, LOWER, reference_of

ANY = "any difference between the groups"
NOTHING = "nothing"
TISSUE, PREDICTION = "the tissue's expression", "the predicted expression"
_RANDOM, _FIXED = "correlated (random)", "own level for each (fixed)"


@dataclass(frozen=True)
class DesignChoice:
    """A design as it was chosen.

    Attributes
    ----------
    design
        With one contrast; shuffled where ``seed`` is given.
    asked
        The contrast as it was asked for.
    with_error
        Whether the question is about the tissue, allowing for prediction error.
    seed
        Seed of the shuffle; ``None`` if the labels are the true ones.
    """

    design: StudyDesign
    asked: Asked
    with_error: bool
    seed: int | None = None

    @property
    def contrast(self) -> Contrast:
        """The contrast that is tested."""
        return self.design.contrasts[0]

    @property
    def is_difference(self) -> bool:
        """Whether two groups are compared, or several: effects are log2 fold changes."""
        return all(factor in self.design.levels for factor in self.contrast.text.term)

    @property
    def kinds(self) -> dict[str, str]:
        """What a legend calls higher and lower, where no two groups are compared."""
        if self.contrast.text.groups is not None:
            return {}
        return {HIGHER: "above 0", LOWER: "below 0"}

    @property
    def key(self) -> tuple[object, ...]:
        """Key of this design within the session, whatever is asked of it."""
        matrix = self.design.matrix
        blocks = () if self.design.blocks is None else tuple(self.design.blocks)
        rows = self.contrast.rows.tobytes()
        return tuple(matrix.index), matrix.to_numpy().tobytes(), rows, self.contrast.name, blocks

    @property
    def comparison(self) -> Comparison:
        """The same for the command line."""
        block_as, terms = self.design.block_as, self.design.terms
        if self.design.block and block_as == "fixed":
            terms = terms[:-1]
        return Comparison(
            shuffle=self.seed,
            formula=formula_text(terms),
            contrasts=(self.asked,),
            block=self.design.block,
            block_as=block_as,
        )


def choose_design(
    metadata: SampleMetadata,
    compared: Sequence[str],
    others: Sequence[str],
    seed: int | None,
    *,
    for_counts: bool = False,
) -> DesignChoice:
    """Show the widgets and return what is chosen; end the page where it is no design.

    Parameters
    ----------
    compared
        Columns of groups or numbers.
    others
        Columns that name what samples have in common: of any kind.
    seed
        Seed to shuffle the labels with.
    for_counts
        Offer only what can be tested in counts: one coefficient, and blocks as fixed effects.
    """
    main, asked = _choose_contrast(metadata, compared, several=not for_counts)
    first, second, third = st.columns(3)
    with first:
        covariates = st.multiselect(
            "Adjust for",
            [name for name in compared if name != main],
            key="design_covariates",
            persist_state="session",
            help="Age, sex, batch, cell counts: the groups are compared at equal values of these.",
        )
    covariates = [name for name in covariates if name != main]
    with second:
        beside = st.selectbox(
            "Test whether it depends on",
            [NOTHING, *covariates],
            key="design_interaction",
            persist_state="session",
            help="Tests the interaction instead of the difference: whether the difference varies "
            "between the groups of this column, or changes with this number.",
        )
    with third:
        block = st.selectbox(
            "Repeated or paired samples",
            [NOTHING, *(name for name in others if name not in (main, *covariates))],
            key="design_block",
            persist_state="session",
            help="The column that names the person, pair or family, if some have several samples.",
        )
        block_as: BlockAs = "fixed" if for_counts else "random"
        if block != NOTHING and not for_counts:
            way = st.radio(
                "Treat them as",
                [_RANDOM, _FIXED],
                key="design_block_as",
                persist_state="session",
                horizontal=True,
                help="Correlated: differences within and between people count. Own level: only "
                "differences within a person count, as in a paired test.",
            )
            block_as = "fixed" if way == _FIXED else "random"
    terms: list[Term] = [(Factor(name),) for name in (main, *covariates)]
    if beside != NOTHING and beside in covariates:
        terms.append((Factor(main), Factor(beside)))
        asked = formula_text(terms[-1:])
    try:
        design = make_design(
            metadata,
            formula_text(terms),
            contrasts=[asked],
            block="" if block == NOTHING else block,
            block_as=block_as,
        )
    except SelectionError as error:
        st.error(plain_message(str(error)), icon=":material/error:")
        end_page()
    _show_design(design)
    if seed is not None:
        design = design.shuffled(seed)
    return DesignChoice(design, asked, not for_counts and _choose_question(), seed)


def _choose_contrast(
    metadata: SampleMetadata, compared: Sequence[str], *, several: bool
) -> tuple[str, Asked]:
    """Return the column that is compared by, and what is tested of it.

    ``several``: whether all groups may be tested together.
    """
    first, second, third = st.columns(3)
    with first:
        main = st.selectbox(
            "Compare by",
            compared,
            index=next((i for i, c in enumerate(compared) if plain_name(c) == "group"), 0),
            key="design_column",
            persist_state="session",
            help="A column of groups or of numbers.",
        )
    is_number = metadata.column(main).kind == "number" or main == metadata.age_column
    if is_number:
        with second:
            st.markdown(f"Change of expression with {plain(main)}, for 1 of it.")
        return main, formula_text([(Factor(main),)])
    groups = metadata.text(main)
    counts = groups.value_counts()
    levels = [str(level) for level in counts.index]
    usual = reference_of(metadata, main)
    together = [ANY] if several and len(levels) > 2 else []
    cases = [*(level for level in levels if level != usual), usual, *together]

    def with_count(level: str) -> str:
        return level if level == ANY else f"{level} (n = {counts[level]})"

    key = f"{metadata.sha256[:12]}_{main}"
    with second:
        case = st.selectbox(
            "Cases",
            cases,
            format_func=with_count,
            key=f"design_case_{key}",
            persist_state="session",
            help="A positive fold change means higher expression in cases.",
        )
    if case == ANY:
        return main, formula_text([(Factor(main),)])
    with third:
        control = st.selectbox(
            "Controls",
            levels,
            index=levels.index(usual),
            format_func=with_count,
            key=f"design_control_{key}",
            persist_state="session",
            help="The group that the cases are compared with. Samples of other groups are also "
            "in the model, because they show how samples vary.",
        )
    return main, (main, case, control)


def _choose_question() -> bool:
    question = st.radio(
        "What to test",
        [TISSUE, PREDICTION],
        format_func=lambda one: (
            "The tissue's expression, allowing for prediction error"
            if one == TISSUE
            else "The predicted expression"
        ),
        key="design_question",
        persist_state="session",
        horizontal=True,
        help="Predictions vary less than tissues do, so predictions can differ significantly "
        "even if the tissue is poorly predicted. The first option adds two errors: that of each "
        "person's prediction, and that of the model, which is the same for all people. Both "
        "options assume that the model is valid for these people. Nothing is added for the "
        "measured tissue.",
    )
    return question == TISSUE


def _show_design(design: StudyDesign) -> None:
    """Show how many samples take part, what to be careful about, and the design as a table."""
    n = len(design.samples)
    st.caption(
        f"{counted(n, 'sample is', 'samples are')} used, {len(design.dropped):,} left out. Model: "
        f"{plain_message(design.formula)}; {plain_message(design.contrasts[0].meaning)}."
    )
    for note in design.notes:
        if note.level == "warning":
            st.warning(plain_message(note), icon=":material/warning:")
    with st.expander(f"The design: {n} samples, {design.matrix.shape[1]} coefficients"):
        shown = design.summary()
        st.dataframe(shown, hide_index=True, key="design_table")
        download_table(
            design.as_table(), key="design_matrix", name="design", label="The design's matrix"
        )
