"""Screens about a user's samples: the samples, who is compared, and the command that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st
import xarray as xr

from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.held import analysing_bytes
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import (
    METADATA_PAGE,
    UPLOAD_PAGE,
    begin,
    example_button,
    mark_simulated,
    show_shell,
)
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.escaping import plain, plain_message
from mtm_core.inference.one_sex import OF_ONE_SEX, describe_left_out, describe_one_sex
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together, explain_sources
from mtm_core.reporting.command_line import Comparison, compare_arguments, composition_arguments
from mtm_core.workflows.batches import tables_at_risk
from mtm_core.workflows.comparisons import OwnCohort, on_reference_scale
from mtm_core.workflows.composition import COMPOSITION_FILE, is_estimated
from mtm_core.workflows.quality import known_sex

_MORE_TISSUES = "You can predict more on the page Predicted expression."
NO_NEW_INFORMATION = (
    "Predicted tissues are computed from the measured {given}. A difference in a predicted "
    "tissue is the one that GTEx donors with such a difference in {them} would show. n counts "
    "your {source} samples; a prediction adds no information to them."
)


def begin_with_samples(
    title: str, lead: str | Callable[[Session, ServedModel], str], *, with_unit: bool = True
) -> tuple[Session, ServedModel]:
    """Open a page that needs samples, as :func:`begin`; end it there without them.

    With ``with_unit`` it also needs the unit of their values.
    """
    session, model = begin(title, lead)
    need_samples(session, model, with_unit=with_unit)
    return session, model


def need_samples(
    session: Session, model: ServedModel, *, with_unit: bool = True
) -> ExpressionTable:
    """Return the session's table; without it or its unit, name the next step and end the page.

    Simulated samples are marked.
    """
    if session.table is None:
        st.info("No samples yet. Upload a table first, or try the example.", icon=":material/info:")
        with st.container(horizontal=True):
            if st.button("Upload your samples", type="primary", key="to_upload"):
                st.switch_page(UPLOAD_PAGE)
            example_button(session, model)
        end_page()
    if with_unit and session.unit is None and session.table.report.unit is None:
        st.info(
            "The unit of the values is not clear from the table. Choose it first; nothing is "
            "predicted until then.",
            icon=":material/help:",
        )
        if st.button("Choose the unit", type="primary", key="to_unit"):
            st.switch_page(UPLOAD_PAGE)
        end_page()
    mark_simulated(session)
    return session.table


def need_metadata(
    session: Session, usable: Callable[[SampleMetadata], list[str]], what: str
) -> tuple[SampleMetadata, list[str]]:
    """Return metadata of the first table's samples, and those columns that a page can use.

    Without any, name the next step and end the page.

    Parameters
    ----------
    usable
        Names the columns.
    what
        Contents, in words.
    """
    metadata = session.own_metadata
    columns = [] if metadata is None else usable(metadata)
    if metadata is None or not columns:
        st.info(
            f"No metadata yet: this screen needs {what}."
            if metadata is None
            else f"{plain(metadata.file)} has no column with {what} for these samples.",
            icon=":material/info:",
        )
        if st.button("Add metadata", type="primary", key="to_metadata"):
            st.switch_page(METADATA_PAGE)
        end_page()
    return metadata, columns


def own_cohort(session: Session, model: ServedModel) -> OwnCohort:
    """Return the measured source beside the predicted tissues, predicted now if they are not yet.

    While that is not done the page ends here, and where it fails. Models that take age and sex are
    not given them, or associations with age would be built in. People of the other sex are left out
    of tissues that only one has, unless the user wants them there (:func:`compared_people`).
    """
    prediction, prepared = _predicted(session, model, with_age_sex=False)
    table = session.table
    assert table is not None
    cohort = background.remember(
        session,
        "own cohort",
        lambda _: OwnCohort.of(prediction, prepared, model.predictor.artefact, table),
        slot="own cohort",
        words="Bringing the measured samples to log2",
        memory=analysing_bytes(prediction, n_tissues=1),
    )
    people = compared_people(session)
    if people.both_sexes:
        return cohort.with_sex(None)
    if session.metadata is None:
        return cohort
    sex = known_sex(pd.DataFrame(index=cohort.samples), session.metadata.phenotypes()["sex"])
    return cohort.with_sex(sex.where(sex.notna(), cohort.sex))


@dataclass(frozen=True)
class ComparedPeople:
    """Who is compared where: part of the key of whatever is made of :func:`own_cohort`.

    Attributes
    ----------
    metadata
        State of the metadata, which say the sex.
    both_sexes
        Whether both sexes are compared in tissues that only one has.
    """

    metadata: Hashable
    both_sexes: bool


def compared_people(session: Session) -> ComparedPeople:
    """Return who is compared, as chosen in :func:`say_where_it_comes_from`."""
    return ComparedPeople(
        None if session.metadata is None else session.metadata.state,
        bool(st.session_state.get("both_sexes", False)),
    )


def prediction_from_expression(session: Session, model: ServedModel) -> tuple[xr.Dataset, Prepared]:
    """Return the prediction of the session's choice, and the samples, as :func:`own_cohort`."""
    return _predicted(session, model, with_age_sex=False)


def expression_on_reference(session: Session, model: ServedModel) -> xr.DataArray:
    """Return the samples as the model read them and the predicted tissues, as :func:`own_cohort`.

    Models that read age and sex get them.
    """
    prediction, prepared = _predicted(session, model, with_age_sex=True)
    return session.remember(
        "on the reference's scale",
        lambda: on_reference_scale(prediction, prepared, model.predictor.artefact),
    )


def _predicted(
    session: Session, model: ServedModel, *, with_age_sex: bool
) -> tuple[xr.Dataset, Prepared]:
    """Return the prediction of the session's choice, and how the samples were made ready."""
    predictor = model.predictor
    background.need(session, session.predicting(predictor))
    prediction, prepared = session.predict(predictor), session.prepare(predictor)
    people = session.people(predictor)
    if predictor.covariates and session.metadata is not None and not with_age_sex:
        targets = session.chosen_targets(predictor)
        prediction = background.remember(
            session,
            "from expression alone",
            lambda tell: predictor.predict_prepared(people, targets, on_progress=tell),
            slot="expression alone",
            words="Predicting from expression alone",
        )
    if isinstance(people, Together):  # those of the first table come first
        prediction = prediction.isel(sample=slice(0, len(prepared.samples)))
    return prediction, prepared


def say_where_it_comes_from(session: Session, model: ServedModel) -> None:
    """Say that predictions know nothing but the measured source, and who is predicted from more."""
    alone = (
        " Here they are made from expression alone, although the model can also use"
        f" {' and '.join(model.predictor.covariates)}."
        if model.predictor.covariates
        else ""
    )
    source = plain(session.source_in_words)
    given, them = source, source
    if len(session.sources) > 1:
        given += f" and {plain(explain_sources(session.sources[1:]))} (not shown)"
        them = "these tissues"
    words = NO_NEW_INFORMATION.format(given=given, them=them, source=source)
    st.info(words + alone, icon=":material/info:")
    for note in tables_at_risk(session.people(model.predictor), session.own_metadata):
        st.caption(f":material/warning: {plain_message(note)}")
    _choose_sexes(session, model)


def _choose_sexes(session: Session, model: ServedModel) -> None:
    """Say who is left out of tissues that only one sex has, and let the user take them in."""
    tissues = session.chosen_targets(model.predictor)
    if not set(tissues) & set(OF_ONE_SEX):
        return
    cohort = own_cohort(session, model)
    both_sexes = compared_people(session).both_sexes
    sex = cohort.sex
    if sex is None:
        stated = None if session.metadata is None else session.metadata.phenotypes()["sex"]
        sex = known_sex(cohort.measured.log2.set_axis(cohort.samples), stated)
    notes = describe_left_out(tissues, sex, both_sexes=both_sexes)
    for note in notes:
        st.caption(f":material/warning: {plain_message(note)}")
    if notes and sex.notna().any():
        st.checkbox(
            "Compare both sexes there too",
            key="both_sexes",
            persist_state="session",
            help="Values predicted for people who lack an organ describe no organ.",
        )


def warn_of_one_sex(session: Session, tissues: Sequence[str]) -> None:
    """Warn of predicted tissues that some of the people do not have."""
    if session.metadata is not None:
        for note in describe_one_sex(tissues, session.metadata.phenotypes()["sex"]):
            st.caption(f":material/warning: {plain_message(note)}")


def show_comparison(session: Session, model: ServedModel, comparison: Comparison) -> None:
    """Show the command that makes the tables of ``comparison`` from the session's prediction."""
    for words in comparison_commands(session, model, comparison):
        show_shell(words)


def comparison_commands(
    session: Session, model: ServedModel, comparison: Comparison
) -> list[list[str]]:
    """Return the commands that make the tables of ``comparison``, one after the other."""
    assert session.prediction is not None
    assert session.metadata is not None
    used = session.predicted_by.as_used(session.prediction).in_command(model.predictor.tissues)
    has_shares = is_estimated(session.metadata)
    of_no_file = session.metadata.file == COMPOSITION_FILE
    name = model.predictor.artefact.name
    files = session.predicted_from
    first = composition_arguments(used, files, model=name, output=COMPOSITION_FILE)
    compare = compare_arguments(
        replace(used, metadata=session.metadata.options),
        replace(files, metadata=session.metadata.file),
        replace(
            comparison,
            composition=has_shares and not of_no_file,
            both_sexes=compared_people(session).both_sexes,
        ),
        model=name,
        output="compared",
    )
    return [first, compare] if of_no_file else [compare]


def choose_tissue(predicted: Sequence[str], *, help: str = _MORE_TISSUES) -> str:
    """Let the user choose the predicted tissue that all screens share."""
    tissue: str = st.selectbox("Tissue", predicted, key="tissue", bind="query-params", help=help)
    return tissue
