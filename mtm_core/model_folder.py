"""Verified access to the files of a model's folder.

``manifest.json`` holds size and SHA-256 of every file that the program reads in the folder. A file
that is altered, truncated, missing, added or a symbolic link is refused before it is parsed. As
anybody can write a manifest, the readers also validate the content of files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mtm_core.errors import ArtefactError
from mtm_core.safe_output import replacing
from mtm_core.strict_json import read_strict_json

MANIFEST = "manifest.json"
MODEL = "a model"
"""Kind of folder in the mark of a model's folder."""
FORMAT = "mtm-model-files"
FORMAT_VERSION = 1
VERIFICATION = "verification.safetensors"
"""Simulated samples, with the predictions from them on the machine that made the model."""
LICENCE = "LICENSE"
FILES = ("model.json", "model.safetensors", "README.md", "history.csv", VERIFICATION, LICENCE)
"""Files that may be read in a model's folder itself."""
PARTS = ("evaluation", "associations", "studies")
"""Subfolders in which files may be read."""
MOST_BYTES = 16 * 2**30
"""Size limit of the weights, five times those of all genes; a sparse file takes minutes to read."""
MOST_BYTES_OF_OTHERS = 4 * 2**30
"""Size limit of all other files together."""
MOST_MANIFEST_BYTES = 2**22
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_FILES = 1000
_DEEPEST = 4
_COPY_AGAIN = "Copy the folder again, whole, from where you have it."


@dataclass(frozen=True)
class Seal:
    """Entry of a file in the manifest.

    Attributes
    ----------
    n_bytes
        Size of the file.
    sha256
        Its SHA-256, in hexadecimal digits.
    """

    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder with its manifest.

    Attributes
    ----------
    path
        The folder.
    seals
        Entries of the manifest, by file name relative to the folder.
    """

    path: Path
    seals: Mapping[str, Seal]
    _verified: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str) -> ModelFolder:
        """Read the manifest of ``folder``.

        Raises
        ------
        ArtefactError
            If it holds no model, has no manifest, or its manifest is damaged.
        """
        folder = Path(folder)
        if not _is_file(folder, "model.json"):
            raise ArtefactError(
                f"no model in {folder}: cannot read model.json. Expected a folder written by "
                f"'mtm train'."
            )
        if not _is_file(folder, MANIFEST):
            raise ArtefactError(
                f"{folder} has no {MANIFEST}: it is incomplete, or was written by an earlier "
                f"version of the program, which did not protect gene names and tables. Copy it "
                f"again; or, if you trust its origin, seal it as it is: mtm model seal {folder}"
            )
        try:
            seals = read_manifest(_read(folder, MANIFEST, MOST_MANIFEST_BYTES))
        except (OSError, ValueError) as error:
            raise ArtefactError(
                f"{folder / MANIFEST} is damaged, or of another version of the program"
                f" ({error}). {_COPY_AGAIN}"
            ) from error
        return cls(folder, seals)

    def manifest(self) -> bytes:
        """Return the current content of the manifest.

        Raises
        ------
        ArtefactError
            If it can no longer be read.
        """
        try:
            return _read(self.path, MANIFEST, MOST_MANIFEST_BYTES)
        except (OSError, ValueError) as error:
            raise self._changed(MANIFEST, str(error)) from error

    def file(self, name: str) -> Path | None:
        """Return the path of a file after verification, or ``None`` if there is no such file.

        Raises
        ------
        ArtefactError
            If its size or SHA-256 differs from the manifest, or the manifest lacks it.
        """
        if name not in self.seals:
            if os.path.lexists(self.path / name):
                raise self._unnamed(name)
            return None
        if name not in self._verified:
            self._verify(name)
            self._verified.add(name)
        return self.path / name

    def part(self, name: str) -> Path | None:
        """Return the path of a subfolder after verification of its files, or ``None``.

        Raises
        ------
        ArtefactError
            If a file differs from the manifest, is missing, or is not in it.
        """
        named = [other for other in self.seals if other.startswith(f"{name}/")]
        for other in named:
            self.file(other)
        for found in _walk(self.path, name):
            if found not in self.seals:
                raise self._unnamed(found)
        return self.path / name if named else None

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a file and verify the bytes that were read.

        Raises
        ------
        ArtefactError
            If its size or SHA-256 differs from the manifest, or the manifest lacks it.
        """
        seal = self.seals[name]
        try:
            data = _read(self.path, name, most_bytes)
        except (OSError, ValueError) as error:
            raise self._changed(name, str(error)) from error
        if Seal(len(data), hashlib.sha256(data).hexdigest()) != seal:
            raise self._changed(name, "its SHA-256 differs")
        return data

    def _verify(self, name: str) -> None:
        seal = self.seals[name]
        try:
            with _open(self.path, name) as file:
                n_bytes = os.fstat(file.fileno()).st_size
                if n_bytes != seal.n_bytes:
                    raise ValueError(f"it has {n_bytes:,} bytes, expected {seal.n_bytes:,}")
                if hashlib.file_digest(file, "sha256").hexdigest() != seal.sha256:
                    raise ValueError("its SHA-256 differs")
        except (OSError, ValueError) as error:
            raise self._changed(name, str(error)) from error

    def _changed(self, name: str, reason: str) -> ArtefactError:
        return ArtefactError(
            f"{self.path / name} is not the file that {MANIFEST} names ({reason}). {_COPY_AGAIN}"
        )

    def _unnamed(self, name: str) -> ArtefactError:
        return ArtefactError(
            f"{self.path / name} is not in {MANIFEST}: it was added after the model was sealed."
            f" Remove it; or, if it is yours: mtm model seal {self.path}"
        )


def read_manifest(data: bytes) -> dict[str, Seal]:
    """Parse and validate a manifest; return its entries by file name.

    Raises
    ------
    ValueError
        If it is malformed, of another version, or names files that no model has.
    """
    if len(data) > MOST_MANIFEST_BYTES:
        raise ValueError(f"it has more than {MOST_MANIFEST_BYTES:,} bytes")
    values = read_strict_json(data)
    if values.get("format") != FORMAT:
        raise ValueError(f"it is not a manifest of a model, which has the format {FORMAT!r}")
    if values.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"it has format version {values.get('format_version')!r}; this program reads version"
            f" {FORMAT_VERSION}"
        )
    try:
        seals = {name: _seal_of(name, seal) for name, seal in values["files"].items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its list of files is damaged ({type(error).__name__})") from error
    if not {"model.json", "model.safetensors"} <= set(seals):
        raise ValueError("it does not name model.json and model.safetensors")
    if len(seals) > _MOST_FILES:
        raise ValueError(f"it names {len(seals):,} files, more than any of ours")
    weights = seals["model.safetensors"].n_bytes
    others = sum(seal.n_bytes for seal in seals.values()) - weights
    if weights > MOST_BYTES or others > MOST_BYTES_OF_OTHERS:
        raise ValueError(f"it names {weights + others:,} bytes, more than any of ours")
    return seals


def seal_folder(folder: Path, new: Path | None = None, changed: str | None = None) -> None:
    """Write the manifest of a model's folder.

    Parameters
    ----------
    folder
        Folder of the model.
    new
        Folder of files that are about to be moved into ``folder``; the manifest is written there.
    changed
        Prefix of file names that may differ from the present manifest. All other files are
        verified first, so that no unintended change is accepted. ``None`` accepts all files.

    Raises
    ------
    ArtefactError
        If a file is a symbolic link, or differs unexpectedly from the present manifest.
    OutputError
        If the manifest cannot be written.
    """
    if changed is not None:
        before = ModelFolder.open(folder)
        for name in before.seals:
            if not name.startswith(changed):
                before.file(name)
    seals: dict[str, Seal] = {}
    for place in (folder, *([] if new is None else [new])):
        for name in _listed(place):
            try:
                with _open(place, name) as file:
                    n_bytes = os.fstat(file.fileno()).st_size
                    seals[name] = Seal(n_bytes, hashlib.file_digest(file, "sha256").hexdigest())
            except (OSError, ValueError) as error:
                raise ArtefactError(f"{place / name} cannot be sealed: {error}.") from error
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "files": {
            name: {"bytes": seals[name].n_bytes, "sha256": seals[name].sha256}
            for name in sorted(seals)
        },
    }
    text = json.dumps(values, indent=1) + "\n"
    if new is not None:
        (new / MANIFEST).write_text(text, encoding="utf-8")
        return
    if os.path.lexists(folder / MANIFEST) and not _is_ours(folder):
        raise ArtefactError(
            f"{folder / MANIFEST} is not a manifest of a model. Move it away first."
        )
    with replacing(folder / MANIFEST) as place:
        place.write_text(text, encoding="utf-8")


def seal_around(output: Path) -> None:
    """Update the manifest of the model whose folder contains ``output``, if there is one."""
    for folder in output.resolve().parents[:2]:
        name = output.resolve().relative_to(folder).as_posix()
        if name.split("/")[0] in PARTS and _is_file(folder, MANIFEST):
            seal_folder(folder, changed=f"{name}/")


def _seal_of(name: str, value: Mapping[str, object]) -> Seal:
    """Validate one entry of a manifest."""
    path = PurePosixPath(name)
    parts = name.split("/")
    is_ours = name in FILES or (parts[0] in PARTS and 1 < len(parts) <= _DEEPEST)
    if path.is_absolute() or not is_ours or not all(_is_plain(part) for part in parts):
        raise ValueError(f"{name!r} is no file of a model's folder")
    n_bytes, digest = value["bytes"], value["sha256"]
    if not (
        type(n_bytes) is int
        and n_bytes >= 0
        and isinstance(digest, str)
        and _SHA256.fullmatch(digest)
    ):
        raise ValueError(f"{name!r} has no size and SHA-256")
    return Seal(n_bytes, digest)


def _is_plain(part: str) -> bool:
    is_text = bool(part) and part.isprintable()
    return is_text and not part.startswith(".") and not set('\\:*?"<>|') & set(part)


def _listed(folder: Path) -> list[str]:
    """List the files of a folder that belong into its manifest."""
    top = [name for name in FILES if os.path.lexists(folder / name)]
    return [*top, *(name for part in PARTS for name in _walk(folder, part))]


def _walk(folder: Path, name: str, depth: int = 1) -> Iterator[str]:
    """List the files below the subfolder ``name``; skip hidden files, do not follow links."""
    try:
        entries = sorted(os.scandir(folder / name), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ArtefactError(f"cannot read {folder / name}: {error.strerror}.") from error
    if len(entries) > _MOST_FILES or depth > _DEEPEST:
        raise ArtefactError(f"{folder / name} holds more than any of a model's folders.")
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, f"{name}/{entry.name}", depth + 1)
        else:
            yield f"{name}/{entry.name}"


def _is_ours(folder: Path) -> bool:
    try:
        return (
            read_strict_json(_read(folder, MANIFEST, MOST_MANIFEST_BYTES)).get("format") == FORMAT
        )
    except (OSError, ValueError):
        return False


def _is_file(folder: Path, name: str) -> bool:
    try:
        return stat.S_ISREG((folder / name).lstat().st_mode)
    except (OSError, ValueError):
        return False


def _open(folder: Path, name: str) -> io.BufferedReader:
    """Open a regular file below ``folder`` without following any symbolic link.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or a part of its path is a link.
    """
    path = folder
    for part in name.split("/"):
        path = path / part
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ValueError("it is a link, which is never followed")
    if not stat.S_ISREG(mode):
        raise ValueError("it is not a plain file")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _read(folder: Path, name: str, most_bytes: int) -> bytes:
    with _open(folder, name) as file:
        data: bytes = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it has more than {most_bytes:,} bytes")
    return data
