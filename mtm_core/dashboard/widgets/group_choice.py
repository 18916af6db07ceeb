"""Which two groups of samples are compared: chosen once, for all screens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.data.notes import counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.phenotypes import plain_name
from mtm_core.escaping import plain
from mtm_core.workflows.comparisons import reference_of, shuffled, two_groups


@dataclass(frozen=True)
class GroupChoice:
    """Two groups.

    Attributes
    ----------
    column
        Column of the metadata.
    case, control
        Its levels that are compared.
    groups
        Group of each sample, NaN if it is in neither; shuffled if ``seed`` is given.
    seed
        Seed of the shuffle; ``None`` if the groups are the true ones.
    """

    column: str
    case: str
    control: str
    groups: pd.Series
    seed: int | None = None

    def shuffled(self, seed: int | None) -> GroupChoice:
        """Deal the groups out anew among their samples; not where ``seed`` is ``None``."""
        if seed is None:
            return self
        return replace(self, groups=shuffled(self.groups, seed), seed=seed)

    @property
    def key(self) -> tuple[object, ...]:
        """Key of this choice within the session."""
        known = tuple(self.groups.fillna(""))
        return self.column, self.case, self.control, self.seed, known

    @property
    def n_case(self) -> int:
        """Samples of the case group."""
        return int((self.groups == self.case).sum())

    @property
    def n_control(self) -> int:
        """Samples of the control group."""
        return int((self.groups == self.control).sum())


def choose_groups(metadata: SampleMetadata, columns: list[str]) -> GroupChoice:
    """Show the widgets and return what is chosen; end the page where a group is against itself."""
    first, second, third = st.columns(3)
    with first:
        column = st.selectbox(
            "Groups by",
            columns,
            index=next((i for i, c in enumerate(columns) if plain_name(c) == "group"), 0),
            key="group_column",
            persist_state="session",
            help="The metadata column that divides the samples into groups.",
        )
    groups = metadata.groups(column)
    counts = groups.value_counts()
    levels = [str(level) for level in counts.index]
    control_first = reference_of(metadata, column)
    case_first = next(level for level in levels if level != control_first)

    def with_count(level: str) -> str:
        return f"{level} (n = {counts[level]})"

    key = f"{metadata.sha256[:12]}_{column}"
    with second:
        case = st.selectbox(
            "Cases",
            levels,
            index=levels.index(case_first),
            format_func=with_count,
            key=f"case_{key}",
            persist_state="session",
            help="A positive fold change means higher expression in cases.",
        )
    with third:
        control = st.selectbox(
            "Controls",
            levels,
            index=levels.index(control_first),
            format_func=with_count,
            key=f"control_{key}",
            persist_state="session",
            help="The group that the cases are compared with.",
        )
    if case == control:
        st.error(
            f"{plain(repr(case))} is compared with itself. Choose two groups.",
            icon=":material/error:",
        )
        end_page()
    unknown = int(groups.isna().sum())
    others = int(groups.notna().sum()) - int(counts[case]) - int(counts[control])
    if others or unknown:
        st.caption(
            f"{counted(others, 'sample belongs', 'samples belong')} to other groups, and"
            f" {counted(unknown, 'has', 'have')} no known group. They are not used here."
        )
    return GroupChoice(column, case, control, two_groups(groups, case, control))


def choose_reference(metadata: SampleMetadata, trait: str) -> str:
    """Let the user choose which group of a trait is 0; return none where there is no choice."""
    if metadata.column(trait).kind != "two groups" or trait in (
        metadata.age_column,
        metadata.sex_column,
    ):
        return ""
    first = reference_of(metadata, trait)
    others = [level for level in metadata.column(trait).levels if level != first]
    return st.selectbox(
        "Reference group",
        [first, *others],
        key=f"reference_{metadata.sha256[:12]}_{trait}",
        persist_state="session",
        help="Coded 0, and the other group 1: a positive correlation means higher expression in "
        "the other group.",
    )


def offer_shuffle() -> int | None:
    """Offer to shuffle what is known of the samples; return the seed, ``None`` if it is off."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        on = st.toggle(
            "Shuffle the labels",
            key="shuffle",
            persist_state="session",
            help="Assigns the group labels to the same samples at random. Whatever is found then "
            "is chance, so this shows how much to expect by chance. Genes are correlated, so "
            "that a chance difference may affect many genes at once: try several seeds.",
        )
        seed = st.number_input(
            "Seed",
            min_value=0,
            max_value=9_999,
            value=1,
            key="shuffle_seed",
            persist_state="session",
            disabled=not on,
            width=140,
            help="A different seed gives a different shuffle; the same seed gives the same one.",
        )
    if not on:
        return None
    st.warning(
        f"**Labels are shuffled** (seed {seed}): all results below are due to chance.",
        icon=":material/shuffle:",
    )
    return int(seed)
