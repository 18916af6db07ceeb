"""The Upload page where a table can be read in more than one way."""

from __future__ import annotations

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from tests.cases import base
from tests.pages.conftest import go_to, upload, words


def samples(app: AppTest) -> str:
    return next(metric.value for metric in app.metric if metric.label == "Samples")


def widget(app: AppTest, kind: str, label: str) -> object:
    (one,) = (box for box in getattr(app, kind) if box.label == label)
    return one


def press(app: AppTest) -> AppTest:
    (button,) = (one for one in app.button if one.label == "Read again")
    button.click().run()
    assert not app.exception
    return app


def test_columns_are_listed_put_back_and_left_out(app: AppTest) -> None:
    table = base.counts().assign(x7=np.random.default_rng(0).integers(1, 10**8, 200))
    upload(app, "mine.csv", table.to_csv().encode())
    assert samples(app) == "24"
    listed = next(frame.value for frame in app.dataframe if "column" in frame.value)
    assert listed["column"].tolist() == ["x7"]
    assert "its correlation with the samples is" in listed["reason"][0]
    widget(app, "multiselect", "Columns to put back as samples").set_value(["x7"])
    widget(app, "multiselect", "Samples to leave out").set_value(["PT03", "PT04"])
    press(app)
    assert samples(app) == "23"
    widget(app, "multiselect", "Columns to put back as samples").set_value([])
    press(app)
    assert samples(app) == "22"


def test_ambiguous_numbers_are_asked_for(app: AppTest) -> None:
    table = (base.counts() % 90).astype(str)
    table.iloc[5, 1] = "7.231"
    upload(app, "mine.csv", table.to_csv(sep=";").encode())
    assert "nothing in the table shows which" in words(app)
    assert not app.metric
    widget(app, "selectbox", "Decimal separator").set_value("comma")
    press(app)
    assert samples(app) == "24"
    assert "'1.234' was read as 1234" in words(app)


def test_quantity_is_chosen(app: AppTest) -> None:
    table = pd.concat([base.counts().add_suffix("_count"), base.tpm().add_suffix("_TPM")], axis=1)
    upload(app, "mine.csv", table.to_csv().encode())
    assert samples(app) == "24"
    assert widget(app, "selectbox", "Unit of the values").value == "counts"
    widget(app, "selectbox", "Quantity").set_value("TPM")
    press(app)
    assert samples(app) == "24"
    assert widget(app, "selectbox", "Unit of the values").value == "tpm"


def test_duplicated_gene_ids_break_no_page(app: AppTest) -> None:
    twice = base.counts().rename(index={base.counts().index[1]: base.counts().index[0]})
    at_end = pd.DataFrame(3, index=["Y_RNA", "Y_RNA"], columns=twice.columns)
    for table in (pd.concat([twice, at_end]), pd.concat([at_end, twice]).T):
        upload(app, "mine.csv", table.to_csv().encode())
        assert samples(app) == "24"
        app.button(key="predict").click().run()
        assert not app.exception
        for page in ("samples/predicted", "samples/reference", "samples/metadata"):
            go_to(app, f"pages/{page}.py")
