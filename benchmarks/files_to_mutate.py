"""Simulated files of every format and program, each the same whenever it is made."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from functools import cache

import h5py
import numpy as np
import pandas as pd

N_GENES, N_SAMPLES = 40, 6
SAMPLES = tuple(f"P{i + 1}" for i in range(N_SAMPLES))


def _values() -> pd.DataFrame:
    dice = np.random.default_rng(7)
    level = dice.gamma(0.8, 60, N_GENES)[:, None]
    counts = dice.poisson(level * dice.lognormal(0, 0.3, (N_GENES, N_SAMPLES)))
    genes = [f"ENSG{100000 + 37 * i:011d}" for i in range(N_GENES)]
    return pd.DataFrame(counts, index=pd.Index(genes, name="gene"), columns=list(SAMPLES))


def _people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": SAMPLES,
            "age": [40, 51, 62, 33, 70, 25],
            "sex": ["female", "male"] * 3,
            "group": pd.Categorical(["case", "control", "case"] * 2),
            "drawn": pd.to_datetime(["2020-01-01"] * N_SAMPLES),
        }
    )


def _text(**options: object) -> bytes:
    return str(_values().to_csv(**options)).encode()


def _gct() -> bytes:
    table = _values().reset_index()
    table.insert(1, "Description", table["gene"])
    return f"#1.2\n{N_GENES}\t{N_SAMPLES}\n{table.to_csv(sep=chr(9), index=False)}".encode()


def _star(sample: str = "P1") -> bytes:
    tallies = [
        f"N_{name}\t1\t2\t3" for name in ("unmapped", "multimapping", "noFeature", "ambiguous")
    ]
    rows = [f"{gene}\t{n}\t{n // 2}\t{n - n // 2}" for gene, n in _values()[sample].items()]
    return "\n".join([*tallies, *rows, ""]).encode()


def _workbook(table: pd.DataFrame, sheets: int = 1) -> bytes:
    file = io.BytesIO()
    with pd.ExcelWriter(file, engine="openpyxl") as book:
        for i in range(sheets - 1):
            pd.DataFrame({"read": ["me"]}).to_excel(book, sheet_name=f"note{i}", index=False)
        table.to_excel(book, sheet_name="data", index=False)
    return _without_dates(file.getvalue())


def _without_dates(data: bytes) -> bytes:
    """Pack a workbook anew, so that it is the same whenever it is made."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            inside = re.sub(rb"20\d\d-\d\d-\d\dT[\d:]+Z", b"2020-01-01T00:00:00Z", old.read(name))
            new.writestr(zipfile.ZipInfo(name), inside, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _parquet(table: pd.DataFrame, **options: object) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, **options)
    return file.getvalue()


def _h5ad(kind: str) -> bytes:
    values = _values().T
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["encoding-type"] = "anndata"
        if kind == "dense":
            h5.create_dataset("X", data=values.to_numpy(), chunks=(2, 10), compression="gzip")
        else:
            rows = values.to_numpy() if kind == "csr" else values.to_numpy().T
            x = h5.create_group("X")
            x.attrs["encoding-type"] = f"{kind}_matrix"
            x.attrs["shape"] = values.shape
            x["data"] = rows[rows > 0].astype(np.float32)
            x["indices"] = np.nonzero(rows)[1].astype(np.int32)
            x["indptr"] = np.concatenate([[0], (rows > 0).sum(1).cumsum()]).astype(np.int32)
        for axis, names in (("obs", values.index), ("var", values.columns)):
            h5[f"{axis}/_index"] = names.tolist()
            h5[axis].attrs["_index"] = "_index"
        h5["obs/group/categories"] = ["a", "b"]
        h5["obs/group/codes"] = np.array([0, 1, 0, 1, 0, 1], np.int8)
        h5["layers/raw"] = values.to_numpy()
        h5["uns/log1p/base"] = 2.0
    return file.getvalue()


def _old_h5ad() -> bytes:
    values = _values().T
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5["X"] = values.to_numpy(np.float32)
        for axis, names in (("obs", values.index), ("var", values.columns)):
            h5[axis] = np.array(
                [(name.encode(), 1.0) for name in names], [("index", "S20"), ("n", "f8")]
            )
    return file.getvalue()


def _loom() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5["matrix"] = _values().to_numpy()
        h5["row_attrs/Accession"] = _values().index.tolist()
        h5["col_attrs/CellID"] = list(SAMPLES)
    return file.getvalue()


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in SAMPLES[:3]:
            member = zipfile.ZipInfo(f"{name}/ReadsPerGene.out.tab")
            archive.writestr(member, _star(name), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("__MACOSX/._x"), b"\0")
    return file.getvalue()


def _archive_of(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _rsem(sample: str) -> bytes:
    head = [
        "gene_id",
        "transcript_id(s)",
        "length",
        "effective_length",
        "expected_count",
        "TPM",
        "FPKM",
    ]
    rows = [
        [gene, f"ENST{i:011d}", "1000.00", "900.00", f"{n:.2f}", f"{n / 3:.2f}", f"{n / 4:.2f}"]
        for i, (gene, n) in enumerate(_values()[sample].items())
    ]
    return "\n".join("\t".join(row) for row in [head, *rows]).encode()


def _salmon(sample: str) -> bytes:
    rows = [
        f"ENST{i:011d}.{1 + i % 3}\t1000\t900.5\t{n / 3:.3f}\t{n:.3f}"
        for i, n in enumerate(_values()[sample])
    ]
    return "\n".join(["Name\tLength\tEffectiveLength\tTPM\tNumReads", *rows, ""]).encode()


def _tx2gene() -> bytes:
    genes = _values().index
    return "\n".join(f"ENST{i:011d}\t{gene}" for i, gene in enumerate(genes)).encode()


MAKERS: dict[str, Callable[[], bytes]] = {
    "text.csv": _text,
    "text.tsv samples in rows": lambda: _values().T.to_csv(sep="\t").encode(),
    "text.csv decimal commas": lambda: _text(sep=";", decimal=",", float_format="%.2f"),
    "text.gct": _gct,
    "text.star": _star,
    "text.long": lambda: _values().reset_index().melt("gene").to_csv(index=False).encode(),
    "gzip.csv": lambda: gzip.compress(_text(), mtime=0),
    "gzip.h5ad": lambda: gzip.compress(_h5ad("dense"), mtime=0),
    "xlsx.one": lambda: _workbook(_values().reset_index()),
    "xlsx.three sheets": lambda: _workbook(_values().reset_index(), 3),
    "zip.star": _archive,
    "parquet.index": lambda: _parquet(_values()),
    "parquet.zstd": lambda: _parquet(_values().T.astype("float32"), compression="zstd"),
    "h5ad.dense": lambda: _h5ad("dense"),
    "h5ad.csr": lambda: _h5ad("csr"),
    "h5ad.csc": lambda: _h5ad("csc"),
    "h5ad.old": _old_h5ad,
    "h5ad.loom": _loom,
    "metadata text": lambda: _people().to_csv(index=False).encode(),
    "metadata xlsx": lambda: _workbook(_people()),
    "metadata parquet": lambda: _parquet(_people()),
}
LATER: dict[str, Callable[[], bytes]] = {
    "text.rsem": lambda: _rsem("P1"),
    "zip.rsem": lambda: _archive_of({f"{name}.genes.results": _rsem(name) for name in SAMPLES}),
    "zip.salmon": lambda: _archive_of(
        {f"{name}/quant.sf": _salmon(name) for name in SAMPLES[:3]} | {"tx2gene.tsv": _tx2gene()}
    ),
}


@cache
def bases() -> dict[str, bytes]:
    return {name: make() for name, make in {**MAKERS, **LATER}.items()}
