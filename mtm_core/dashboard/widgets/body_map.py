"""A body on which tissues are chosen: the EBI anatomogram, its organs as buttons.

The drawings are cut from https://github.com/ebi-gene-expression-group/anatomogram (CC BY 4.0);
``organs.tsv`` says which of their organs, by Uberon id, each GTEx tissue is of or is part of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import streamlit as st

from mtm_core.escaping import plain_message

FOLDER = Path(__file__).parent / "anatomogram"
ATTRIBUTION = (
    "Drawings: [EBI anatomogram](https://github.com/ebi-gene-expression-group/anatomogram),"
    " CC BY 4.0, simplified."
)
BODIES = ("Female", "Male")
_HTML = """<svg class="hatching" aria-hidden="true"><defs>
<pattern id="chosen" width="2" height="2" patternUnits="userSpaceOnUse"
 patternTransform="rotate(45)">
<rect width="2" height="2" fill="var(--st-primary-color)" fill-opacity="0.45"/>
<rect width="0.7" height="2" fill="currentColor"/>
</pattern></defs></svg><div class="drawings"></div>"""

_HOW_MANY = (
    "Click an organ to choose its tissues, or to remove them. A hatched organ with a thick edge "
    "has all its tissues chosen; one with a dashed edge, some of them. Use the list to choose a "
    "single tissue of an organ that has several. "
)
_HOW_ONE = (
    "Click an organ to choose its tissue; if it has several, click again for the next. The "
    "chosen organ is hatched with a thick edge, or has a dashed edge if the organ has other "
    "tissues too. "
)

Pressed = Literal["true", "false", "mixed"]

_component = st.components.v2.component(
    "mtm_body_map",
    html=_HTML,
    css=(FOLDER / "body_map.css").read_text(encoding="utf-8"),
    js=(FOLDER / "body_map.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Organ:
    """An organ that is drawn, and its tissues.

    Attributes
    ----------
    uberon
        Its id, which is that of its shape.
    name
        In the words of the drawing.
    tissues
        GTEx tissues, of those to choose from.
    """

    uberon: str
    name: str
    tissues: tuple[str, ...]

    def pressed(self, chosen: Collection[str]) -> Pressed:
        """Tell whether all, none or some of its tissues are ``chosen``."""
        n_chosen = sum(tissue in chosen for tissue in self.tissues)
        if n_chosen == 0:
            return "false"
        return "true" if n_chosen == len(self.tissues) else "mixed"

    def toggle(self, chosen: Sequence[str]) -> list[str]:
        """Return ``chosen`` with all of its tissues, or, where all are there, without them."""
        others = [tissue for tissue in chosen if tissue not in self.tissues]
        return others if self.pressed(chosen) == "true" else [*others, *self.tissues]

    def following(self, chosen: str) -> str:
        """Return its first tissue or, where one of its own is ``chosen``, the one after that."""
        at = self.tissues.index(chosen) if chosen in self.tissues else -1
        return self.tissues[(at + 1) % len(self.tissues)]

    @property
    def label(self) -> str:
        """Its name and its tissues, for those who read or hear it."""
        return f"{self.name.capitalize()}: {', '.join(self.tissues)}"


@cache
def organ_table() -> pd.DataFrame:
    """Return ``organ`` (Uberon id, '' where it is not drawn) and ``name``, by GTEx tissue."""
    return pd.read_csv(FOLDER / "organs.tsv", sep="\t", index_col="tissue", keep_default_na=False)


@cache
def drawing(name: str) -> str:
    """Return a drawing as SVG: ``"female"``, ``"male"`` or ``"brain"``."""
    svg = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    return svg[svg.index("<svg") :]


def organs_of(tissues: Sequence[str]) -> dict[str, Organ]:
    """Return the organs that ``tissues`` are of, by Uberon id."""
    table = organ_table().reindex(tissues).dropna()
    table = table[table["organ"] != ""]
    return {
        str(uberon): Organ(str(uberon), str(part["name"].iloc[0]), tuple(map(str, part.index)))
        for uberon, part in table.groupby("organ", sort=False)
    }


def not_drawn(
    tissues: Sequence[str], organs: Mapping[str, Organ], svgs: Sequence[str]
) -> list[str]:
    """Return those of ``tissues`` whose organ no drawing shows."""
    drawn = {
        tissue
        for organ in organs.values()
        for tissue in organ.tissues
        if any(f'data-organ="{organ.uberon}"' in svg for svg in svgs)
    }
    return [tissue for tissue in tissues if tissue not in drawn]


def body_map(
    tissues: Sequence[str],
    chosen: Sequence[str],
    press: Callable[[Organ], None],
    *,
    key: str,
    one: bool = False,
) -> None:
    """Show a body whose organs choose tissues.

    Parameters
    ----------
    tissues, chosen
        Tissues to choose from, and those that are chosen.
    press
        Called with an organ when it is pressed.
    key
        Key of the map on the page.
    one
        Whether one tissue is chosen at a time: said below the map.
    """
    opened = st.expander(
        "Choose on a body map",
        key=f"{key}_map_opened",
        on_change="rerun",
        icon=":material/accessibility_new:",
    )
    if not opened.open:
        return
    with opened:
        body = st.segmented_control(
            "Body",
            BODIES,
            default=BODIES[0],
            required=True,
            key=f"{key}_body",
            help="The brain is drawn beside the body.",
        )
        organs = organs_of(tissues)
        shown = {body: drawing(body.lower()), "Brain": drawing("brain")}

        def find() -> None:
            organ = organs.get(st.session_state[f"{key}_map"].organ or "")
            if organ is not None:
                press(organ)

        _component(
            key=f"{key}_map",
            data={
                "shown": body,
                "drawings": [{"name": name, "svg": svg} for name, svg in shown.items()],
                "organs": {
                    organ.uberon: {"label": organ.label, "pressed": organ.pressed(chosen)}
                    for organ in organs.values()
                },
            },
            on_organ_change=find,
        )
        left_out = not_drawn(tissues, organs, list(shown.values()))
        st.caption(
            (_HOW_ONE if one else _HOW_MANY)
            + (f"Not drawn here: {plain_message(', '.join(left_out))}. " if left_out else "")
            + ATTRIBUTION
        )
