"""The parts of the *Models* screen: what is here, the choice of one, and how to have all genes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit import config

from mtm_core.dashboard.screens.models_building import Builder, BuildView, shared_builder
from mtm_core.dashboard.serving.hosts import OWN_NAMES
from mtm_core.dashboard.serving.server import hosts_of_settings
from mtm_core.dashboard.state.resources import (
    CHOSEN_MODEL,
    choosable_models,
    chosen_model,
    served_model,
)
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.sign_in import is_asked_for
from mtm_core.errors import MTMError
from mtm_core.escaping import plain, plain_message
from mtm_core.model_places import MODELS_VARIABLE, find_model, models_folder
from mtm_core.sharing.listing import ADJUSTED_RHO, RHO, ListedModel, list_models
from mtm_core.sharing.registry import published_models

GENOME_WIDE = 10_000
"""Genes from which on a model counts as one of the whole genome."""
BUILT_NAME = "gtex_v8"
_POLL_SECONDS = 2.0
_PASSED_ON = {"x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via"}
"""Headers of a request that went through a proxy."""


def models_here() -> list[ListedModel]:
    """List what this session may choose, the server's own first."""
    known = {model.name: model for model in list_models()}
    listed = []
    for name in choosable_models():
        if name not in known:  # the server's own, named by its folder
            try:
                known[name] = ListedModel.of(find_model(name), "folder", name)
            except MTMError as error:
                st.warning(plain_message(error), icon=":material/warning:")
                continue
        listed.append(known[name])
    return listed


def table_of(models: Sequence[ListedModel], in_use: str) -> pd.DataFrame:
    """Return one row a model, as the screen shows it."""
    where = {"bundled": "with the program", "installed": "installed", "folder": "folder"}
    return pd.DataFrame(
        {
            "in use": [model.name == in_use for model in models],
            "model": [model.name for model in models],
            "genes": [model.n_genes or None for model in models],
            "tissues": [model.n_tissues or None for model in models],
            "method": [model.method for model in models],
            "rho": [model.accuracy(RHO) for model in models],
            "adjusted rho": [model.accuracy(ADJUSTED_RHO) for model in models],
            "MB": [model.n_bytes / 1e6 or None for model in models],
            "licence": [model.licence or "not given" for model in models],
            "where": [where[model.where] for model in models],
            "note": ["cannot be used" if model.problem else "" for model in models],
        }
    )


def show_models(models: Sequence[ListedModel]) -> None:
    """Show the table of models."""
    table = table_of(models, chosen_model())
    if not any(table["note"]):
        table = table.drop(columns="note")
    st.dataframe(
        table,
        hide_index=True,
        key="models",
        column_config={
            "in use": st.column_config.CheckboxColumn(
                "in use", help="The model that this session uses."
            ),
            "genes": st.column_config.NumberColumn(format="localized"),
            "rho": st.column_config.NumberColumn(
                "rho, by fold",
                format="%.3f",
                help="Correlation of predicted and measured expression of a gene over held-out "
                "donors; mean over genes and tissues. Compare it only between models of the same "
                "genes.",
            ),
            "adjusted rho": st.column_config.NumberColumn(
                format="%.3f",
                help="The same after age, sex and Hardy scale are regressed out.",
            ),
            "MB": st.column_config.NumberColumn(format="%.0f", help="Size on disk."),
        },
    )
    for model in models:
        if model.problem:
            st.warning(
                f"**{plain(model.name)}** cannot be used: {plain_message(model.problem)}",
                icon=":material/warning:",
            )


def choose_model(session: Session, models: Sequence[ListedModel]) -> None:
    """Offer the models to choose from; the choice is of this session alone."""
    names = [model.name for model in models if not model.problem]
    current = chosen_model()
    if current not in names:
        return
    by_name = {model.name: model for model in models}
    key = f"model_choice_{session.n_deleted}"
    st.selectbox(
        "Model of this session",
        names,
        index=names.index(current),
        format_func=lambda name: f"{name}: {by_name[name].n_genes:,} genes",
        key=key,
        on_change=_choose,
        args=(session, key),
        help="Other visitors keep their model. Your samples stay, and are predicted again with "
        "the new model.",
    )


def _choose(session: Session, key: str) -> None:
    """Use the model that was chosen; one that cannot be loaded changes nothing but what is said."""
    st.session_state[CHOSEN_MODEL] = st.session_state[key]
    try:
        predictor = served_model().predictor
        if chosen_model() == st.session_state[key]:
            session.change_model(predictor)
            st.toast(f"{plain(chosen_model())} is in use.", icon=":material/check:")
    except MTMError as error:
        st.warning(plain_message(error), icon=":material/warning:")
    st.session_state[key] = chosen_model()


def show_genome_wide(models: Sequence[ListedModel]) -> None:
    """Say how to predict all genes: which model here does, how to get one, how to build one."""
    wide = [model for model in models if model.n_genes >= GENOME_WIDE]
    if wide:
        names = ", ".join(f"**{plain(model.name)}** ({model.n_genes:,} genes)" for model in wide)
        st.markdown(f"Installed models of all genes: {names}. Choose one above.")
    else:
        st.markdown(
            "No model of all genes is installed. The bundled models predict the"
            f" **{max((model.n_genes for model in models), default=0):,} genes** above."
        )
    published = published_models()
    st.subheader("Get it")
    if published:
        for entry in published.values():
            st.markdown(plain_message(f"{entry.name}: {entry.about}"))
            st.code(f"mtm model get {entry.name}", language=None)
    else:
        st.markdown(
            "This version knows of no published model yet. To install one that somebody else has "
            "built, use the SHA-256 that they state:"
        )
        st.code("mtm model get hf:OWNER/NAME --sha256 SHA256", language=None, wrap_lines=True)
    st.subheader("Build it")
    st.markdown(
        "Builds and evaluates a model from the open files of GTEx v8 (a download of 1.6 GB). The "
        "command first states the disk space and memory it needs. If stopped, it continues where "
        "it was."
    )
    st.code(shlex.join(["mtm", *build_arguments()]), language=None, wrap_lines=True)
    why = why_no_button()
    if why:
        st.caption(why)
    else:
        show_build(shared_builder())


def build_arguments() -> list[str]:
    """Return the command that builds the model of all genes among the installed ones."""
    folder = models_folder()
    output = f"trained_models/{BUILT_NAME}" if folder is None else str(folder / BUILT_NAME)
    return ["build", "--release", "v8", "--output", output]


def why_no_button() -> str:
    """Say why the model cannot be built from this page; empty if it can.

    A build takes the machine for many minutes and writes to its disk: that is for who sits at it.
    """
    if models_folder() is None:
        return (
            f"You cannot build here, because this user has no folder for models. Set "
            f"{MODELS_VARIABLE} to a folder."
        )
    if is_own_machine():
        return ""
    return (
        f"You cannot build here, because a build takes processors, memory and disk space that "
        f"all visitors of this server share. Run the command on your own machine, or ask the "
        f"person who runs this server to install a model in its {MODELS_VARIABLE} folder."
    )


def is_own_machine() -> bool:
    """Tell whether only who sits at this machine can have opened this page.

    The server listens on this machine alone, answers to no other name (a proxy has one), asks
    nobody to sign in, and nothing has passed the request on.
    """
    hosts = hosts_of_settings()
    passed_on = _PASSED_ON & {name.lower() for name in st.context.headers}
    return not (
        config.get_option("server.address") not in OWN_NAMES
        or hosts.any_address
        or hosts.origins
        or hosts.names - {*OWN_NAMES}
        or passed_on
        or is_asked_for()
    )


@st.fragment(run_every=_POLL_SECONDS)
def show_build(builder: Builder) -> None:
    """Show the button that builds, and how the build goes, on whatever page it was started."""
    view = builder.view()
    folder = models_folder()
    assert folder is not None
    if view.state == "running":
        st.progress(
            (view.step - 1) / view.n_steps if view.n_steps else 0.0,
            f"Step {view.step} of {view.n_steps}: {plain_message(view.last)}"
            if view.n_steps
            else plain_message(view.last) or "Starting",
        )
        st.caption(
            f"Running for {_duration(view.seconds)}. It continues while you look at other pages, "
            f"and stops when this server stops. Start it again to continue where it stopped."
        )
        if st.button("Cancel", icon=":material/cancel:", key="cancel_build"):
            builder.cancel()
            st.rerun(scope="fragment")
        show_log(view)
        return
    if view.state == "finished":
        st.success(
            f"**{BUILT_NAME}** is built and installed, after {_duration(view.seconds)}. Reload the"
            " page to choose it.",
            icon=":material/check:",
        )
    elif view.state == "failed":
        st.error(f"The build stopped: {plain_message(view.last)}", icon=":material/error:")
    elif view.state == "cancelled":
        st.info(
            "The build was cancelled. Start it again to continue where it stopped.",
            icon=":material/info:",
        )
    if view.state != "finished" and st.button(
        "Build it on this machine", icon=":material/construction:", key="build"
    ):
        try:
            builder.start(build_arguments(), folder / f".{BUILT_NAME}.log")
        except MTMError as error:
            st.error(plain_message(error), icon=":material/error:")
        else:
            st.rerun(scope="fragment")
    show_log(view)


def show_log(view: BuildView) -> None:
    """Show the end of the log, where there is one."""
    if view.log:
        with st.expander("Log"):
            st.code("\n".join(view.log.splitlines()[-40:]), language=None, wrap_lines=True)


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} min {seconds % 60:.0f} s" if minutes else f"{seconds:.0f} s"
