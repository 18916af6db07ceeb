"""Every page of the dashboard, opened one after the other, and what may never stand on it."""

from __future__ import annotations

from collections.abc import Iterator

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

PAGES = {
    "Start": "start/start",
    "Upload": "samples/upload",
    "Metadata": "samples/metadata",
    "Quality": "samples/quality",
    "Blood composition": "samples/composition",
    "Predicted expression": "samples/predicted",
    "Compare with GTEx": "samples/reference",
    "Check against measured": "samples/measured",
    "Report and downloads": "samples/report",
    "Traits": "associations/traits",
    "Differential expression": "associations/differential",
    "Gene sets": "associations/enrichment",
    "Activity": "associations/activity",
    "External cohort": "associations/external",
    "Disease concordance": "associations/disease",
    "Models": "model/models",
    "Predictability": "model/predictability",
    "Methods compared": "model/methods",
    "Latent space": "model/latent",
    "Model card and training": "model/model_card",
    "Guides": "help/guides",
}
FAULTS = ("fault of the program", "encountered an error", "Traceback")


def messages(app: AppTest) -> list[object]:
    """Return what the browser is sent of each element of the page, the sidebar too."""

    def walk(block: Block) -> Iterator[object]:
        if getattr(block, "proto", None) is not None:
            yield block.proto
        for child in block.children.values():
            if isinstance(child, Block):
                yield from walk(child)
            else:
                yield child.proto

    return list(walk(app._tree))


def check(app: AppTest) -> AppTest:
    """Hold the page to have ended in words that are not of a fault."""
    assert not app.exception, [exception.value for exception in app.exception]
    shown = [box.value for box in (*app.error, *app.warning, *app.info)]
    assert not [text for text in shown if any(fault in text for fault in FAULTS)]
    return app


def visit(app: AppTest) -> Iterator[tuple[str, AppTest]]:
    """Open every page of a session in turn, and each view of those that have several."""
    for title, path in PAGES.items():
        app.switch_page(f"pages/{path}.py").run()
        yield title, check(app)
        for key in _views(app):
            for option in app.segmented_control(key=key).options[1:]:
                app.segmented_control(key=key).set_value(option).run()
                yield f"{title}: {option}", check(app)


def _views(app: AppTest) -> list[str]:
    return [
        str(control.key)
        for control in app.segmented_control
        if control.label == "View" and control.key is not None
    ]
