"""The guides of the repository as a page shows them."""

from __future__ import annotations

import re

import pytest

from mtm_core.dashboard.screens.guides import GUIDES, guide


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_has_no_link_or_image_of_the_repository(name: str) -> None:
    prose = re.sub(r"^```.*?^```", "", guide(name), flags=re.MULTILINE | re.DOTALL)
    assert prose.startswith("## ")
    assert not re.search(r"^# ", prose, re.MULTILINE)
    assert not re.findall(r"\]\((?!https?://)", prose)


def test_links_to_other_guides_name_them_and_code_stays() -> None:
    text = guide("index")
    assert "with the raw one (accuracy)." in text
    assert '.sel(tissue="Lung")  # (sample, gene); also' in text
    assert "decided from its values (*Units*)" not in text
    assert "gene sets (*Gene sets*)" not in guide("command_line")
    assert "to mtm model list" not in text
