"""A file that leads to another one is refused, and nothing of the other is read or shown."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr

from benchmarks.mutated_files import mutant
from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.files.self_contained import check_hdf5
from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.formats.tables import read_table
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.errors import InputFileError

SECRET = "a-secret-of-the-server"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the server, also found under a relative path."""
    path = tmp_path / "secrets.toml"
    path.write_text(SECRET * 10)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["names"] = [SECRET, SECRET]
        file["numbers"] = np.ones((2, 2))
    monkeypatch.chdir(tmp_path)
    return path


def external(where: str, secret: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        shape = (2, 2) if where in ("X", "layers/counts") else (2,)
        if where in file:
            del file[where]
        dtype = "f8" if len(shape) == 2 else "S22"
        file.create_dataset(where, shape, dtype, external=[(secret, 0, 44)])

    return change


def linked(where: str, secret: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if where in file:
            del file[where]
        file[where] = h5py.ExternalLink(secret, "/numbers" if where == "X" else "/names")

    return change


def virtual(where: str, secret: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if where in file:
            del file[where]
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[:] = h5py.VirtualSource(secret, "numbers", (2, 2))
        file.create_virtual_dataset(where, layout)

    return change


def by_plugin(file: h5py.File) -> None:
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((2,))
    how.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(file.id, b"blosc", h5py.h5t.NATIVE_DOUBLE, space, how)


def references(file: h5py.File) -> None:
    kind = np.dtype([("n", "i4"), ("r", h5py.ref_dtype)])
    data = np.zeros(1, kind)
    data["r"][0] = file["X"].ref
    file.create_dataset("uns/r", data=data)


def h5ad(change: Callable[[h5py.File], None] = lambda file: None) -> bytes:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["X"] = np.array([[1.0, 2.0], [3.0, 4.0]])
        for axis, names in (("obs", ["P1", "P2"]), ("var", ["TP53", "MLH1"])):
            file[f"{axis}/names"] = names
            file[axis].attrs["_index"] = "names"
        file["layers/counts"] = np.ones((2, 2))
        file["obs/group/categories"] = ["a", "b"]
        file["uns/note"] = "x"
        change(file)
    return data.getvalue()


HIDDEN = ["X", "obs/names", "var/names", "layers/counts", "obs/group/categories", "uns/note"]


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
@pytest.mark.parametrize("where", HIDDEN)
@pytest.mark.parametrize("how", [external, linked, virtual])
def test_hdf5_that_leads_to_another_file_is_refused(
    secret: Path, where: str, how: Callable[[str, str], Callable[..., None]], absolute: bool
) -> None:
    target = secret if how is external else secret.with_name("secret.h5")
    data = h5ad(how(where, str(target) if absolute else target.name))
    for read in (in_memory, as_uploaded, in_parts, as_cohort):
        with pytest.raises(InputFileError, match=r"another file|other files") as refused:
            read(data)
        assert SECRET not in str(refused.value)
        assert repr(where.split("/")[-1]) in str(refused.value)


def in_memory(data: bytes) -> None:
    read_table(data)


def as_uploaded(data: bytes) -> None:
    read_isolated(data)


def in_parts(data: bytes) -> None:
    Path("t.h5ad").write_bytes(data)
    open_stored_table(Path("t.h5ad"))


def as_cohort(data: bytes) -> None:
    Path("c.h5ad").write_bytes(data)
    read_cohort(Path("c.h5ad"))


@pytest.mark.parametrize(
    ("change", "match"),
    [(by_plugin, r"filter 32001, .* compression='gzip'"), (references, "'r' holds references")],
)
def test_plugins_and_references_are_refused(
    change: Callable[[h5py.File], None], match: str
) -> None:
    with pytest.raises(InputFileError, match=match):
        read_table(h5ad(change))


def inside(file: h5py.File) -> None:
    file["raw/X"] = h5py.SoftLink("/X")
    file["raw/lost"] = h5py.SoftLink("/nowhere")
    file["obs/again"] = file["obs"]  # a circle
    file["obs/group"].attrs["categories"] = file["obs/group/categories"].ref  # AnnData before 0.8


def test_links_within_a_file_are_no_harm() -> None:
    table = read_table(h5ad(inside))
    assert table.header == ("", "TP53", "MLH1")
    assert table.cells.to_numpy().tolist() == [["P1", 1.0, 2.0], ["P2", 3.0, 4.0]]


def test_files_written_by_anndata_and_netcdf_are_accepted(tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    data = ad.AnnData(
        np.eye(2), pd.DataFrame({"g": pd.Categorical(["a", "b"]), "n": [1, 2]}, ["P1", "P2"])
    )
    data.uns["deep"] = {"er": {"still": np.arange(3), "text": "é"}}
    for compression in ("gzip", "lzf", None):
        data.write_h5ad(tmp_path / "a.h5ad", compression=compression)
        with h5py.File(tmp_path / "a.h5ad") as file:
            check_hdf5(file)
    set_ = xr.Dataset({"v": (("x", "y"), np.eye(2))}, {"x": ["a", "b"], "y": [1, 2]})
    set_.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "a.nc") as file:
        check_hdf5(file)


def test_a_column_of_parquet_in_another_file_is_refused(tmp_path: Path) -> None:
    whole = pa.table({"gene": ["TP53", "MLH1"], "P1": [1.0, 2.0]})
    written: list[pyarrow.parquet.FileMetaData] = []
    path = tmp_path / "part.parquet"
    pyarrow.parquet.write_table(whole, path, metadata_collector=written)
    written[0].set_file_path("/etc/passwd")
    data = path.read_bytes()
    footer = io.BytesIO()
    written[0].write_metadata_file(footer)
    # The rows of one file under the footer of another, whose columns say where they lie.
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    path.write_bytes(data[:end] + footer.getvalue()[4:])
    with pytest.raises(InputFileError, match="'gene' lies in another file"):
        read_table(path.read_bytes())
    with pytest.raises(InputFileError, match="'gene' lies in another file"):
        open_stored_table(path).read(0, 2)


def test_metadata_of_parquet_that_end_the_process_are_asked_for_after_reading() -> None:
    """Found by seed 3378 of benchmarks/mutations.py: refused by Arrow in words, or not at all."""
    data = mutant(3378, Path("/tmp/x/canary.h5")).data
    with pytest.raises(InputFileError, match="histogram size mismatch"):
        read_table(data)


def test_types_of_programs_are_refused() -> None:
    file = io.BytesIO()
    numbers = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16)))
    pyarrow.parquet.write_table(pa.table({"gene": ["TP53"], "P1": numbers}), file)
    with pytest.raises(InputFileError, match=r"'P1' has the type 'arrow\.uuid'"):
        read_table(file.getvalue())


def test_times_of_any_zone_are_given_in_utc() -> None:
    file = io.BytesIO()
    times = pd.to_datetime(["2020-01-01 12:00", "2020-07-01 12:00"]).tz_localize("Europe/Berlin")
    pd.DataFrame({"sample": ["P1", "P2"], "drawn": times}).to_parquet(file)
    assert read_table(file.getvalue()).cells[1].tolist() == [
        "2020-01-01 11:00:00Z",
        "2020-07-01 10:00:00Z",
    ]


def test_bytes_are_read_as_text() -> None:
    """Found by seeds 1044, 1118 and 1286 of benchmarks/mutations.py."""
    file = io.BytesIO()
    names = pa.array([b"TP53", b"ML\xffH1", None])
    fixed = pa.array([b"ab", b"\xff\xfe", b"cd"], pa.binary(2))
    table = pa.table({"a": names, "b": names.dictionary_encode(), "c": fixed, "P1": [1.0, 2, 3]})
    pyarrow.parquet.write_table(table, file)
    read = read_table(file.getvalue()).cells
    for column in (0, 1):
        assert read[column].tolist()[:2] == ["TP53", "ML\ufffdH1"]
        assert read[column].isna().tolist() == [False, False, True]
    assert read[2].tolist() == ["ab", "\ufffd\ufffd", "cd"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "table.zarr"
    data = ad.AnnData(
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        pd.DataFrame(index=["P1", "P2"]),
        pd.DataFrame(index=["TP53", "MLH1"]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write_zarr(path)
    return path


def test_a_link_in_a_store_of_zarr_is_refused(store: Path, secret: Path) -> None:
    assert open_stored_table(store).read(0, 2).to_numpy().tolist() == [[1, 2], [3, 4]]
    for where in ("X/0.0", "obs/note", "elsewhere"):
        link = store / where
        target = store.parent if where == "elsewhere" else secret
        before = link.read_bytes() if link.exists() else None
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(InputFileError, match=r"is a link\. Expected files") as refused:
            open_stored_table(store)
        assert SECRET not in str(refused.value)
        link.unlink()
        if before is not None:
            link.write_bytes(before)
    open_stored_table(store)


def test_a_link_among_parts_of_parquet_is_refused(tmp_path: Path) -> None:
    values = pd.DataFrame({"TP53": [1.0], "MLH1": [2.0]}, index=["P1"])
    (tmp_path / "parts").mkdir()
    values.to_parquet(tmp_path / "parts" / "a.parquet")
    values.set_axis(["P2"]).to_parquet(tmp_path / "elsewhere.parquet")
    assert open_stored_table(tmp_path / "parts").samples == ("P1",)
    (tmp_path / "parts" / "b.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(InputFileError, match=r"'b\.parquet' is a link"):
        open_stored_table(tmp_path / "parts")


def test_a_store_that_unpickles_is_refused(store: Path, tmp_path: Path) -> None:
    """What its pickle would do shows in a file."""
    import pickle

    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "harm",)

    names = store / "obs" / "_index"
    about = json.loads((names / ".zarray").read_text())
    about |= {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "dtype": "|O"}
    (names / ".zarray").write_text(json.dumps(about))
    (names / "0").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(InputFileError):
        open_stored_table(store)
    assert not (tmp_path / "harm").exists()
    assert zarr.__version__ >= "3"


def test_codecs_in_the_third_format_are_looked_at_too(tmp_path: Path) -> None:
    from mtm_core.data.files.zarr_store import _codecs

    about = {
        "codecs": (
            {
                "name": "sharding_indexed",
                "configuration": {
                    "codecs": [{"name": "numcodecs.pickle"}, {"name": "bytes"}],
                    "index_codecs": [{"name": "crc32c"}],
                },
            },
        )
    }
    assert set(_codecs(about)) == {"sharding_indexed", "pickle", "bytes", "crc32c"}
