"""Names that are more than names to what reads them: files, samples, columns, groups, genes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from mtm_core.inference.example import simulate_example
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.model_folder import seal_folder
from tests.pages.every_page import messages
from tests.pages.other_models import cohort_of, write_model

ADDRESS = "127.0.0.1:9"
"""Where a listener is that must hear nothing."""


def hostile_names(address: str = ADDRESS) -> list[str]:
    return [
        f"![x](http://{address}/image.png)",
        f"<img src=http://{address}/tag.png>",
        f"[a](http://{address}/link)",
        f"<http://{address}/angle>",
        f"http://{address}/bare",
        f'<a href="http://{address}/a">a</a>',
        "[b](javascript:alert(1))",
        ":material/home: icon",
        ":red[red] :smile:",
        "$\\frac{1}{2}$",
        "{{ 7 * 7 }}",
        "`code`",
        "**bold** and _it_",
        "<b>b</b>",
        "~~gone~~",
        "# head",
        "\u202egnp.exe",
        "=HYPERLINK(1)",
        "long " * 60,
    ]


def hostile_model(folder: Path, address: str = ADDRESS) -> Path:
    """A stranger's model: hostile symbols, tissues, name and card; with half of the gene ids."""
    names = hostile_names(address)
    shown = [
        name.strip() for name in names if name.isprintable() and len(name) < 200
    ]  # others are no model's
    cohort = cohort_of(rename=dict(zip(cohort_of().uns["tissues"].index, shown, strict=False)))
    cohort.var["symbol"] = [shown[i] if i < len(shown) else f"SYM{i}" for i in range(40)]
    cohort.uns["tissues"]["abbreviation"] = shown[:5]
    write_model(folder, JointGaussianMethod(), cohort, name="[b](javascript:alert(1)) **bold**")
    card = "\n\n".join(
        (
            *(f"Card {name}" for name in names),
            f"[ref]: http://{address}/reference.png",
            f"![ref] ![alt][ref] [![in](http://{address}/inner.png)](http://{address}/outer)",
            f"```mermaid\ngraph TD; A[<img src=http://{address}/mermaid.png>]\n```",
        )
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    seal_folder(folder)
    return folder


def hostile_tables(model: Path, address: str = ADDRESS) -> tuple[str, bytes, str, bytes]:
    """Return a table and its metadata, each with the name of its file."""
    example = simulate_example(Predictor.load(model).artefact)
    names = hostile_names(address)
    table = pd.read_csv(io.BytesIO(example.table), sep="\t", index_col=0)
    metadata = pd.read_csv(io.BytesIO(example.metadata), sep="\t", index_col=0)
    samples = [names[i] if i < len(names) else f"S{i}" for i in range(table.shape[1])]
    table.columns = samples
    metadata.index = pd.Index(samples, name="sample")
    metadata["group"] = metadata["group"].map({"case": names[0], "control": names[1]})
    metadata[names[4]] = metadata["age"] * 1.5
    metadata[names[13]] = metadata["group"]
    name = names[0].replace("/", "")
    return (
        f"{name}.csv",
        table.to_csv(float_format="%.3f").encode(),
        f"<b>{name}.csv",
        metadata.to_csv().encode(),
    )


_NOT_MARKDOWN = {
    *("id", "form_id", "spec", "config", "data", "code_text", "options", "placeholder", "alt"),
    *("url", "key", "name", "icon", "default", "page_script_hash", "session_id", "arrow_data"),
    *("user_key", "default_value", "query_param_key"),
    *("columns", "styler", "json", "element_id", "language", "html_content", "css_content"),
    *(
        "raw_value",
        "raw_values",
        "max_upload_size_mb",
        "type",
        "url_path",
        "page_name",
        "body_html",
        "js_content",
    ),
}
"""Fields of Streamlit's messages that a browser writes as they are, or that nobody sees."""


def strings_of(message: Message, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a message with the names of its fields."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}"
        many = field.is_repeated if hasattr(field, "is_repeated") else field.label == 3
        for one in value if many else (value,):
            if isinstance(one, Message):
                yield from strings_of(one, here)
            elif isinstance(one, str):
                yield here, one


def check_names(app: AppTest, names: list[str]) -> None:
    """Hold that no text that is read as Markdown, and no figure, has a name as it was given."""
    raw = [name.strip() for name in names if not name.startswith(("long", "=", "\u202e"))]
    for message in messages(app):
        assert isinstance(message, Message)
        for path, text in strings_of(message):
            field = path.rsplit(".", 1)[-1]
            if field == "spec":
                drawn = json.dumps(json.loads(text), ensure_ascii=False)
                for tag in ("<img", "<a ", "<b>b</b>", "<http"):
                    assert tag not in drawn, (path, tag)
            elif field not in _NOT_MARKDOWN and not text.startswith("Card "):
                assert not [name for name in raw if name in text], (path, text[:300])
                assert "\u202e" not in text, (path, text[:300])
