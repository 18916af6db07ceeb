"""Files of every format, damaged at random or made to do harm; each the same for the same seed.

A file is one of :mod:`benchmarks.files_to_mutate`, on which one to three of the mutations of its
format are applied: bytes flipped, set, cut, repeated or taken from another file; cells and headers;
members of a workbook or an archive, changed and packed anew; datasets, attributes and links of
HDF5; footers of parquet. Some lead to ``canary``: a file that must not be read, by its name, its
absolute and its relative path.
"""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.files_to_mutate import LATER, MAKERS, bases

CANARY = "do-not-read-me-7f3a"
"""What the canary holds: found anywhere in what a reader gives, it has been read."""
_ALL_FROM = 20_000
"""Seeds from here on are of all bases; those below are as they were when they failed."""
_WORDS = (
    *("", "NA", "nan", "inf", "-inf", "1e308", "1e-400", "1e3000000000", "-1", "0x1F", "1_000"),
    *("1,5", "1.234", "1,234", "1'234", "1 234", "1.234,5", "=1+1", "@x", "+", "-", "True", "#N/A"),
    *('"', '""', '"x', "'", "\\", "\0", "\ufeff", "\u202e", "é", "\U0001f600", "\x1b[31m", "`x`"),
    *("ENSG00000141510", "TP53", "sample", "gene", "$(x)", "<b>", "9" * 400, "x" * 5000, "\r"),
)
_NUMBERS = (
    0,
    1,
    127,
    128,
    255,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)


@dataclass(frozen=True)
class Mutant:
    """A file, of which base it is, and whether it is read as metadata."""

    seed: int
    base: str
    data: bytes
    is_metadata: bool


def mutant(seed: int, canary: Path) -> Mutant:
    """Make the file of ``seed``."""
    dice = random.Random(seed)
    name = dice.choice(sorted(MAKERS) if seed < _ALL_FROM else sorted({*MAKERS, *LATER}))
    data = bases()[name]
    special = _SPECIAL.get(name.split(".")[0].split(" ")[0])
    for _ in range(dice.randint(1, 3)):
        mutate = special if special is not None and dice.random() < 0.6 else _bytes
        data = mutate(data, dice, canary)
    return Mutant(seed, name, data, name.startswith("metadata"))


def _bytes(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change bytes, whatever they mean."""
    if not data:
        return b"\0"
    out = bytearray(data)
    at = dice.randrange(len(out))
    if dice.random() < 0.3:  # where formats have what leads to the rest
        at = min(at % 512, len(out) - 1) if dice.random() < 0.5 else max(0, len(out) - 1 - at % 512)
    size = dice.choice((1, 2, 4, 8, 64, 512))
    how = dice.randrange(8)
    if how == 0:
        for _ in range(dice.choice((1, 3, 20))):
            out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    elif how == 1:
        width = dice.choice((1, 2, 4, 8))
        number = dice.choice(_NUMBERS) % 256**width
        out[at : at + width] = number.to_bytes(width, dice.choice(("little", "big")))
    elif how == 2:
        del out[at:]
    elif how == 3:
        del out[at : at + size]
    elif how == 4:
        out[at:at] = out[at : at + size] * dice.choice((1, 10, 200))
    elif how == 5:
        other = bases()[dice.choice(sorted(MAKERS))]  # of the old ones, for the old seeds
        start = dice.randrange(len(other))
        out[at : at + size] = other[start : start + size]
    elif how == 6:
        out[at:at] = dice.randbytes(size)
    else:
        out[at : at + size] = dice.choice((b"\0", b"\xff", b" ", b"\n")) * size
    return bytes(out)


def _cells(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change cells, lines and columns of a text."""
    text = data.decode("utf-8", errors="replace")
    lines = text.split("\n")
    mark = max("\t;,", key=lines[min(5, len(lines) - 1)].count)
    row = dice.randrange(len(lines)) if dice.random() < 0.7 else 0
    cells = lines[row].split(mark)
    how = dice.randrange(10)
    word = dice.choice(_WORDS)
    if how <= 2:
        cells[dice.randrange(len(cells))] = word
        lines[row] = mark.join(cells)
    elif how == 3:
        column = dice.randrange(len(cells))
        for i, line in enumerate(lines):
            parts = line.split(mark)
            if column < len(parts):
                parts[column] = word if i else parts[column]
            lines[i] = mark.join(parts)
    elif how == 4:
        lines[row:row] = [dice.choice((lines[row], word, mark * 300, "#" + word, '"' + lines[row]))]
    elif how == 5:
        lines[row] = mark.join([*cells, *cells])
    elif how == 6:
        lines[row] = mark.join(cells[: dice.randrange(len(cells) + 1)])
    elif how == 7:
        lines = [dice.choice(("\t", ";", ",", " ", "|")).join(line.split(mark)) for line in lines]
    elif how == 8:
        dice.shuffle(lines)
    else:
        joined = dice.choice(("\r\n", "\r", "\n\n", "\0\n")).join(lines)
        codec = dice.choice(("utf-8-sig", "utf-16", "utf-32", "utf-16-be", "latin-1", "utf-7"))
        return joined.encode(codec, errors="replace")
    return "\n".join(lines).encode("utf-8", errors="replace")


def _packed(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change what gzip holds, or how it holds it."""
    how = dice.randrange(5)
    try:
        inside = gzip.decompress(data)
    except (OSError, EOFError, ValueError):
        return _bytes(data, dice, canary)
    except Exception:  # noqa: BLE001 - zlib.error has no class of its own above
        return _bytes(data, dice, canary)
    if how == 0:
        return data + data
    if how == 1:
        return data + dice.randbytes(30)
    if how == 2:
        return gzip.compress(inside * dice.choice((2, 50)), mtime=0)
    if how == 3:
        return gzip.compress(data, mtime=0)
    inner = _hdf5 if inside.startswith(b"\x89HDF") else _cells
    return gzip.compress(inner(inside, dice, canary), mtime=0)


_SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def _members(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change the members of a workbook or an archive, and pack them anew."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # noqa: BLE001 - damaged before
        return _bytes(data, dice, canary)
    if not members:
        return _bytes(data, dice, canary)
    at = dice.randrange(len(members))
    sheets = [i for i, (name, _) in enumerate(members) if "worksheets/" in name or ".tab" in name]
    if sheets and dice.random() < 0.5:
        at = dice.choice(sheets)
    name, inside = members[at]
    how = dice.randrange(9)
    if how == 0:
        del members[at]
    elif how == 1:
        members.append((name, inside))
    elif how == 2:
        names = ("../x", "/etc/passwd", str(canary), "xl/../x", "a" * 300, "é.csv", "x\0y", "xl/")
        members[at] = (dice.choice(names), inside)
    elif how == 3:
        far = dice.choice((b"1000000000", b"1048577", b"0", b"-1", b"x", b"99999999999999999999"))
        column = dice.choice((b"XFD", b"ZZZ", b"A", b"ZZZZZZ"))
        cell = b'<row r="%b"><c r="%b%b"><v>1</v></c></row>' % (far, column, far)
        members[at] = (name, inside.replace(b"</sheetData>", cell + b"</sheetData>"))
    elif how == 4:
        entity = dice.choice(
            (b"SYSTEM 'file://%b'" % str(canary).encode(), b"'%b'" % (b"x" * 9999))
        )
        start = b"<!DOCTYPE x [<!ENTITY e %b>]>" % entity
        cell = b'<row r="1"><c r="A1" t="str"><v>%b</v></c></row></sheetData></worksheet>'
        members[at] = (name, start + _SHEET + cell % (b"&e;" * dice.choice((1, 5000))))
    elif how == 5:
        link = b'<Relationship Id="rId99" Type="x/externalLink" TargetMode="External" Target="%b"/>'
        target = dice.choice((str(canary), canary.name, canary.as_uri(), "http://127.0.0.1:1/x"))
        members[at] = (
            name,
            inside.replace(b"</Relationships>", link % target.encode() + b"</Relationships>"),
        )
    elif how == 6:
        old, new = dice.choice(
            ((b'"s"', b'"str"'), (b'"n"', b'"e"'), (b"<v>", b"<v>9e999"), (b' r="', b' r="A'))
        )
        members[at] = (name, inside.replace(old, new))
    elif how == 7:
        piece = inside[: dice.randrange(len(inside) + 1)]
        members[at] = (name, piece + b"<a>" * dice.choice((10, 20_000)))
    else:
        members[at] = (name, _bytes(inside, dice, canary))
    file = io.BytesIO()
    way = dice.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    import warnings

    with zipfile.ZipFile(file, "w", way) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for member, content in members:
            archive.writestr(zipfile.ZipInfo(member) if member else "x", content, way)
    return file.getvalue()


def _footer(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change the footer of parquet, or write columns of other types."""
    if dice.random() < 0.5 and len(data) > 12:
        size = min(int.from_bytes(data[-8:-4], "little"), len(data) - 12)
        start = len(data) - 8 - size
        footer = _bytes(data[start:-8], dice, canary)
        claimed = len(footer) if dice.random() < 0.8 else dice.choice(_NUMBERS)
        return data[:start] + footer + (claimed % 2**32).to_bytes(4, "little") + b"PAR1"
    n = dice.choice((0, 1, 5, 2000))
    kinds: list[Callable[[], pa.Array]] = [
        lambda: pa.array([1.5] * n),
        lambda: pa.array([2**62] * n),
        lambda: pa.array([None] * n),
        lambda: pa.array(["x"] * n).dictionary_encode(),
        lambda: pa.array([[1, 2]] * n, pa.list_(pa.int64())),
        lambda: pa.array([{"a": 1}] * n, pa.struct([("a", pa.int64())])),
        lambda: pa.array([b"\xff"] * n),
        lambda: pa.array([True] * n),
        lambda: pa.array([1] * n, pa.timestamp("ns", "Europe/Berlin")),
        lambda: pa.array([1] * n, pa.time64("us")),
        lambda: pa.array([1] * n, pa.duration("s")),
        lambda: pa.array([-(2**62)] * n, pa.timestamp("us")),
        lambda: pa.array([1] * n).cast(pa.decimal128(30, 2)),
        lambda: pa.array([float("nan")] * n, pa.float32()),
        lambda: pa.array([1] * n, pa.uint8()),
        lambda: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int64())),
    ]
    columns = [dice.choice(kinds)() for _ in range(dice.randint(1, 8))]
    names = [dice.choice(("gene", "sample", "", "P1", f"P{i}", "é")) for i in range(len(columns))]
    table = pa.Table.from_arrays(columns, names)
    if dice.random() < 0.5:
        index = dice.choice(
            ('["gene"]', "[1]", '[{"kind": "range"}]', "x", '["nowhere"]', "[" * 2000)
        )
        about = (
            f'{{"index_columns": {index}, "columns": [{{"name": "gene", "field_name": "gene",'
            f' "pandas_type": "{dice.choice(("unicode", "object", "categorical", "datetimetz"))}",'
            f' "numpy_type": "{dice.choice(("object", "x", "period[D]", "O8", "V9"))}",'
            ' "metadata": {"timezone": "Mars"}}], "column_indexes": [{"name": null,'
            ' "pandas_type": "bytes", "numpy_type": "object", "field_name": null}]}'
        )
        table = table.replace_schema_metadata({"pandas": about})
    file = io.BytesIO()
    pq.write_table(table, file, compression=dice.choice(("none", "gzip", "zstd", "snappy")))
    return file.getvalue()


def _hdf5(data: bytes, dice: random.Random, canary: Path) -> bytes:
    """Change objects of HDF5 by the library, some so that they lead out of the file."""
    file = io.BytesIO(data)
    try:
        with h5py.File(file, "r+") as h5:
            _change_hdf5(h5, dice, canary)
    except Exception:  # noqa: BLE001 - damaged before, or a change that the library refuses
        return _bytes(data, dice, canary)
    return file.getvalue()


def _change_hdf5(h5: h5py.File, dice: random.Random, canary: Path) -> None:
    places = ["X", "obs", "var", "obs/_index", "var/_index", "X/data", "X/indices", "X/indptr"]
    places += ["layers/raw", "uns/new", "obs/group/categories", "matrix", "row_attrs/Accession"]
    where = dice.choice([place for place in places if place in h5] or ["X"])
    target = dice.choice((str(canary), canary.name, f"../{canary.name}"))
    shape = h5[where].shape if where in h5 and isinstance(h5[where], h5py.Dataset) else (6, 40)
    how = dice.randrange(14)
    if how >= 4 and how <= 9 and where in h5:
        del h5[where]
    if how == 0:
        h5[where].attrs[dice.choice(("shape", "encoding-type", "_index", "x"))] = dice.choice(
            (1, "csr_matrix", "x" * 50_000, [2**62, 2**62], [-1, 5], np.float64("nan"), b"\xff")
        )
    elif how == 1:
        for name in list(h5[where].attrs):
            del h5[where].attrs[name]
    elif how == 2:
        h5[f"{where}{dice.choice('ab')}"] = h5py.SoftLink(dice.choice(("/X", "/nowhere", "/obs")))
    elif how == 3:
        h5["obs/again"] = h5["obs"]
    elif how == 4:
        size = int(np.prod(shape)) * 8
        h5.create_dataset(
            where, shape, dice.choice(("f8", "S8", "i8")), external=[(target, 0, size)]
        )
    elif how == 5:
        h5[where] = h5py.ExternalLink(target, dice.choice(("/X", "/", "/obs/_index")))
    elif how == 6:
        layout = h5py.VirtualLayout(shape, "f8")
        layout[...] = h5py.VirtualSource(dice.choice((target, ".")), "x", shape)
        h5.create_virtual_dataset(where, layout)
    elif how == 7:
        kinds = ("S3", "f2", "i1", "u8", "c16", "?", "V4", h5py.ref_dtype, h5py.string_dtype())
        h5.create_dataset(where, shape, dice.choice(kinds))
    elif how == 8:
        huge = dice.choice(((2**40,), (2**31, 2**31), (0, 40), (6, 0), (), (6, 40, 1)))
        h5.create_dataset(where, huge, "f8", chunks=True if huge and all(huge) else None)
    elif how == 9:
        h5.create_group(where)
    elif how == 10:
        kind = h5py.vlen_dtype(np.dtype("f8"))
        h5.create_dataset("uns/vlen", (3,), kind)
    elif how == 11:
        place = h5.require_group("uns/deep")
        for _ in range(dice.choice((10, 300))):
            place = place.create_group("d")
    elif how == 12 and isinstance(h5[where], h5py.Dataset) and h5[where].size:
        values = h5[where][()]
        flat = np.atleast_1d(values).reshape(-1)
        flat[dice.randrange(flat.size)] = flat[0] if flat.dtype == object else dice.choice((0, 99))
        h5[where][...] = flat.reshape(np.shape(values))
    else:
        how_made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how_made.set_chunk((6,))
        how_made.set_filter(dice.choice((32001, 307, 32015, 40000)), h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((6,))
        h5py.h5d.create(h5.id, b"packed", h5py.h5t.NATIVE_DOUBLE, space, how_made)


def _metadata(data: bytes, dice: random.Random, canary: Path) -> bytes:
    if data.startswith(b"PK"):
        return _members(data, dice, canary)
    return (_footer if data.startswith(b"PAR1") else _cells)(data, dice, canary)


_SPECIAL: dict[str, Callable[[bytes, random.Random, Path], bytes]] = {
    "text": _cells,
    "gzip": _packed,
    "xlsx": _members,
    "zip": _members,
    "parquet": _footer,
    "h5ad": _hdf5,
    "metadata": _metadata,
}
