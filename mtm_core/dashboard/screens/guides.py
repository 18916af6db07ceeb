"""The guides of ``docs/``, as a page shows them."""

from __future__ import annotations

import re

from mtm_core.places import place_of

GUIDES = {
    "index": "Quick start",
    "faq": "Questions and answers",
    "glossary": "Glossary",
    "formats": "File formats",
    "units": "Units",
    "quality": "Check your samples first",
    "batches": "Batches and later samples",
    "designs": "Designs of studies",
    "enrichment": "Gene sets",
    "activity": "Pathway activity",
    "accuracy": "Accuracy",
    "studies": "What predictions preserve",
    "references": "References of each number",
    "models": "Models: choose, get, share",
    "genome": "Genome-wide models",
    "command_line": "Command line",
    "pipelines": "In pipelines and notebooks",
    "endpoint": "From R and other programs",
    "serving": "Serve it to others",
    "reliability": "Reliability",
    "features": "Beside other tools",
}
"""Title of each guide, by the name of its file."""
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)\n?")
_INNER_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)([^)]*)\)")
_HEADING = re.compile(r"^(#+ )", re.MULTILINE)
_FENCED = re.compile(r"(^```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)


def guide(name: str) -> str:
    """Return a guide as Markdown for a page.

    Headings are one level lower, because a page has a title of its own. A link to another guide
    names it; other links within the repository, and images, are left out.

    Parameters
    ----------
    name
        A key of :data:`GUIDES`.
    """
    text = (place_of("docs") / f"{name}.md").read_text(encoding="utf-8")
    parts = _FENCED.split(text)
    return "".join(part if i % 2 else _for_a_page(part) for i, part in enumerate(parts))


def _for_a_page(text: str) -> str:
    """Change prose; fenced code stays as it is."""
    text = _INNER_LINK.sub(_named, _IMAGE.sub("", text))
    return _HEADING.sub(r"#\1", text)


def _named(link: re.Match[str]) -> str:
    words, target = link.groups()
    title = GUIDES.get(target.split("#")[0].removesuffix(".md"))
    if title is None or title.lower() == words.lower():
        return words
    return f"{words} (*{title}*)"
