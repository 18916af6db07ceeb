"""Every screen of the dashboard, and what a user does on it, for a session that is timed.

An action is done in a session of Streamlit's test harness. Each names what it does, as a row of the
table of times does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamlit.testing.v1 import AppTest

Act = Callable[[AppTest], object]
GENES = ("TP53", "ABCA", "ENSG00000012048")


@dataclass(frozen=True)
class Screen:
    """A screen, and what is done on it after it was opened twice.

    Attributes
    ----------
    title
        Title of it in the menu.
    page
        Its file below ``pages``, without its ending.
    actions
        What is done, by what it is called.
    """

    title: str
    page: str
    actions: tuple[tuple[str, Act], ...] = ()


def pick(key: str, value: object) -> Act:
    """Choose in a list."""
    return lambda app: app.selectbox(key=key).set_value(value).run()


def segment(key: str, value: object) -> Act:
    """Choose among segments, such as the views of a screen."""
    return lambda app: app.button_group(key=key).set_value(value).run()


def several(key: str, values: list[str]) -> Act:
    """Choose several in a list."""
    return lambda app: app.multiselect(key=key).set_value(values).run()


def switch(key: str, value: bool = True) -> Act:
    """Switch on or off."""
    return lambda app: app.toggle(key=key).set_value(value).run()


def press(key: str) -> Act:
    """Press a button."""
    return lambda app: app.button(key=key).click().run()


def page_of(key: str, page: int) -> Act:
    """Turn to a page of a long table."""
    return lambda app: app.pagination(key=f"{key}_page").set_value(page).run()


def also(first: str, n: int) -> Act:
    """Choose the first ``n`` options of the list whose key begins so."""

    def act(app: AppTest) -> object:
        (box,) = (box for box in app.multiselect if str(box.key).startswith(first))
        return box.set_value(list(box.options)[:n]).run()

    return act


def another(key: str) -> Act:
    """Choose what no screen has shown: the next but six in a list, past where it is."""

    def act(app: AppTest) -> object:
        box = app.selectbox(key=key)
        return box.select_index(((box.index or 0) + 7) % len(box.options)).run()

    return act


_TISSUES = (("another tissue", another("tissue")), ("a third tissue", another("tissue")))


def search(name: str) -> Act:
    """Type a name into the box of genes."""

    def act(app: AppTest) -> object:
        box = app.selectbox(key="gene")
        box.options.append(name)  # the harness types nothing that is not in the list
        return box.set_value(name).run()

    return act


_GENES = tuple((f"gene searched, {name}", search(name)) for name in GENES)


def _rows(key: str, column: str) -> tuple[tuple[str, Act], ...]:
    return (
        ("another page of the table", page_of(key, 5)),
        (f"table sorted by {column}", pick(f"{key}_order", column)),
    )


FIRST = (
    Screen("Start", "start/start"),
    Screen(
        "Upload",
        "samples/upload",
        (
            ("not aligned", lambda app: app.radio(key="alignment").set_value("none").run()),
            ("aligned", lambda app: app.radio(key="alignment").set_value("auto").run()),
        ),
    ),
    Screen("Metadata", "samples/metadata"),
    Screen(
        "Quality",
        "samples/quality",
        (
            ("another component", pick("component_x", "PC3")),
            ("coloured by group", pick("component_colour", "group")),
        ),
    ),
    Screen(
        "Blood composition",
        "samples/composition",
        (
            ("by group", pick("composition_groups", "group")),
            ("added to the metadata", press("add_composition")),
        ),
    ),
)
"""Screens that need no prediction."""

AFTER = (
    Screen(
        "Predicted expression",
        "samples/predicted",
        (
            *_TISSUES,
            ("predictable genes only", switch("predictable_only")),
            ("all genes again", switch("predictable_only", False)),
            ("one gene", segment("view", "One gene")),
            *_GENES,
            ("table", segment("view", "Table")),
            *_rows("rows", "z"),
            ("table of all tissues", switch("all_tissues")),
        ),
    ),
    Screen(
        "Compare with GTEx",
        "samples/reference",
        (*_TISSUES, *_GENES, ("by group", pick("position_groups", "group"))),
    ),
    Screen("Check against measured", "samples/measured", (*_rows("measured_genes", "rho"),)),
    Screen("Report and downloads", "samples/report", (("report made", press("make_report")),)),
    Screen(
        "Traits",
        "associations/traits",
        (
            *_TISSUES,
            *_GENES,
            *_rows("trait_rows", "rho"),
            ("adjusted for group", several("covariates", ["group"])),
            ("every tissue compared", press("compare_all")),
            ("all tissues listed", switch("traits_everywhere")),
        ),
    ),
    Screen(
        "Differential expression",
        "associations/differential",
        (
            *_TISSUES,
            *_GENES,
            *_rows("differential_rows", "auc"),
            (
                "another threshold",
                lambda app: app.slider(key="fold_change").set_value(0.5).run(),
            ),
            ("seven tissues beside it", also("beside_", 7)),
            ("one beside it", also("beside_", 1)),
            ("linear model", segment("differential_test", "Linear model")),
            ("linear model, another tissue", another("tissue")),
            ("linear model, adjusted for age", several("design_covariates", ["age"])),
        ),
    ),
    Screen(
        "Gene sets",
        "associations/enrichment",
        (
            ("another tissue", several("set_tissues_Your groups", ["Lung"])),
            ("over-representation", pick("set_test", "Over-representation")),
            ("Reactome", pick("gene_sets", "reactome")),
            ("associations in GTEx", segment("set_result", "Associations in GTEx")),
            ("predictability", segment("set_result", "Predictability")),
        ),
    ),
    Screen(
        "Activity",
        "associations/activity",
        (
            ("another tissue", several("activity_tissues", ["Lung"])),
            ("of gene sets", pick("network", "reactome")),
            ("of pathways again", pick("network", "progeny")),
            ("all sources together", pick("activity_method", "mlm")),
        ),
    ),
    Screen(
        "External cohort",
        "associations/external",
        (*_TISSUES, *_GENES, ("every tissue compared", press("compare_all"))),
    ),
    Screen("Disease concordance", "associations/disease"),
    Screen("Models", "model/models"),
    Screen(
        "Predictability",
        "model/predictability",
        (
            ("genes", segment("accuracy_of", "Genes")),
            *_TISSUES,
            *_GENES,
            *_rows("gene_rows", "p"),
            (
                "table searched",
                lambda app: app.text_input(key="gene_search").set_value("GSTM, ENSG00000012").run(),
            ),
            ("distributions", segment("accuracy_of", "Distributions")),
        ),
    ),
    Screen(
        "Methods compared",
        "model/methods",
        (
            ("predictable genes", segment("compared_by", "Predictable genes")),
            ("shared genes", segment("compared_by", "Shared genes")),
            ("shared genes, Lung", pick("tissue", "Lung")),
            ("wins and losses", segment("compared_by", "Wins and losses")),
            ("groups of donors", segment("compared_by", "Groups of donors")),
        ),
    ),
    Screen(
        "Latent space",
        "model/latent",
        (("predictable genes", segment("latent_of", "Predictable genes")),),
    ),
    Screen("Model card and training", "model/model_card"),
    Screen("Guides", "help/guides", (("another guide", pick("guide", "genome")),)),
)
"""Screens of a session with a prediction."""
