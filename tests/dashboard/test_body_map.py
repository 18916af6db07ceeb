"""The body map: every tissue has its organ or is said not to, and organs switch tissues."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mtm_core.dashboard.widgets.body_map import (
    FOLDER,
    Organ,
    drawing,
    not_drawn,
    organ_table,
    organs_of,
)
from mtm_core.data.gtex.annotations import tissue_table

DRAWINGS = ("female", "male", "brain")
TISSUES = list(tissue_table().index)
DRAWN_NOWHERE = {
    "Artery - Tibial",
    "Cells - Cultured fibroblasts",
    "Cells - EBV-transformed lymphocytes",
    "Nerve - Tibial",
    "Whole Blood",
}


def shapes(name: str) -> list[str]:
    root = ElementTree.fromstring(drawing(name))
    return [organ for element in root.iter() if (organ := element.get("data-organ"))]


def test_every_tissue_of_gtex_is_in_the_table() -> None:
    assert organ_table().index.tolist() == TISSUES
    assert set(organ_table().index[organ_table()["organ"] == ""]) == DRAWN_NOWHERE


def test_every_organ_of_the_table_is_drawn_and_every_one_drawn_is_in_it() -> None:
    table = organ_table()
    drawn = {organ for name in DRAWINGS for organ in shapes(name)}
    assert drawn == set(table["organ"]) - {""}
    names = table.groupby("organ")["name"].nunique()
    assert (names == 1).all()


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_shapes_alone_with_their_source(name: str) -> None:
    text = (FOLDER / f"{name}.svg").read_text()
    assert "CC BY 4.0" in text
    assert "Changes:" in text
    root = ElementTree.fromstring(drawing(name))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "ellipse", "circle", "rect"}
    assert not re.search(r"href|url\(|\bon\w+=|<script", drawing(name))
    assert len(shapes(name)) == len(set(shapes(name)))


def test_organs_know_their_tissues_in_the_order_given() -> None:
    tissues = ["Lung", "Colon - Transverse", "Whole Blood", "Colon - Sigmoid"]
    organs = organs_of(tissues)
    assert [organ.tissues for organ in organs.values()] == [
        ("Lung",),
        ("Colon - Transverse", "Colon - Sigmoid"),
    ]
    assert organs["UBERON:0001155"].label == "Colon: Colon - Transverse, Colon - Sigmoid"
    assert organs_of(["A tissue of another study"]) == {}


def test_tissues_that_a_drawing_lacks_are_named() -> None:
    organs = organs_of(TISSUES)
    female = not_drawn(TISSUES, organs, [drawing("female"), drawing("brain")])
    male = not_drawn(TISSUES, organs, [drawing("male"), drawing("brain")])
    assert set(male) == DRAWN_NOWHERE | {
        *("Cervix - Ectocervix", "Cervix - Endocervix", "Fallopian Tube", "Ovary"),
        *("Uterus", "Vagina"),
    }
    assert set(female) == DRAWN_NOWHERE | {
        *("Brain - Spinal cord (cervical c-1)", "Prostate", "Testis"),
    }


def test_an_organ_switches_all_of_its_tissues() -> None:
    colon = Organ("UBERON:0001155", "colon", ("Colon - Sigmoid", "Colon - Transverse"))
    assert colon.pressed(["Lung"]) == "false"
    assert colon.pressed(["Lung", "Colon - Sigmoid"]) == "mixed"
    both = colon.toggle(["Lung", "Colon - Sigmoid", "Liver"])
    assert both == ["Lung", "Liver", "Colon - Sigmoid", "Colon - Transverse"]
    assert colon.pressed(both) == "true"
    assert colon.toggle(both) == ["Lung", "Liver"]
    assert colon.toggle([]) == ["Colon - Sigmoid", "Colon - Transverse"]


def test_an_organ_gives_its_tissues_one_after_the_other() -> None:
    colon = Organ("UBERON:0001155", "colon", ("Colon - Sigmoid", "Colon - Transverse"))
    assert colon.following("Lung") == "Colon - Sigmoid"
    assert colon.following("Colon - Sigmoid") == "Colon - Transverse"
    assert colon.following("Colon - Transverse") == "Colon - Sigmoid"
