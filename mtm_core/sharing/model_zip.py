"""A zip of a model's folder, read as another's: what its manifest names is unpacked, no more."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mtm_core.errors import ArtefactError
from mtm_core.model_folder import MANIFEST, Seal

_MOST_MEMBERS = 2000
_CHUNK = 1 << 20
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ModelZip:
    """A zip that holds a model's folder, or the files of one at its top."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path, self._file = path, file
        members = file.infolist()
        if len(members) > _MOST_MEMBERS:
            raise self._refused(f"it holds {len(members):,} entries, more than any model")
        for member in members:
            self._check(member)
        self._members = {member.filename: member for member in members if not member.is_dir()}
        if len(self._members) < sum(not member.is_dir() for member in members):
            raise self._refused("a name is in it twice")
        tops = [
            name.removesuffix(MANIFEST)
            for name in self._members
            if name == MANIFEST or (name.endswith(f"/{MANIFEST}") and name.count("/") == 1)
        ]
        if len(tops) != 1:
            found = "no" if not tops else f"{len(tops)} times"
            raise self._refused(
                f"expected one model's folder with its {MANIFEST}, found {found} {MANIFEST}"
            )
        self._top = tops[0]

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[ModelZip]:
        """Open a zip.

        Raises
        ------
        ArtefactError
            If it is none, or holds what no model does: links, names that lead outside.
        """
        try:
            with zipfile.ZipFile(path) as file:
                yield cls(path, file)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise ArtefactError(
                f"{path} cannot be read as a zip ({error}). Get it again, whole."
            ) from error

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a small file.

        Raises
        ------
        ArtefactError
            If it is not there, or larger.
        """
        member = self._member(name)
        if member.file_size > most_bytes:
            raise self._refused(f"{name} has {member.file_size:,} bytes")
        with self._file.open(member) as source:
            data = source.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise self._refused(f"{name} has more than {most_bytes:,} bytes")
        return data

    def unpack(self, seals: Mapping[str, Seal], folder: Path) -> None:
        """Write every file of ``seals`` below ``folder``; never more bytes than it should have.

        Raises
        ------
        ArtefactError
            If one is not there, or not what it should be.
        """
        for name, seal in seals.items():
            member = self._member(name)
            if member.file_size != seal.n_bytes:
                raise self._refused(
                    f"{name} has {member.file_size:,} bytes, the manifest says {seal.n_bytes:,}"
                )
            place, digest, n_bytes = folder / name, hashlib.sha256(), 0
            place.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open(member) as source, place.open("xb") as target:
                while chunk := source.read(_CHUNK):
                    n_bytes += len(chunk)
                    if n_bytes > seal.n_bytes:
                        raise self._refused(f"{name} unpacks to more than it says")
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != seal.sha256:
                raise self._refused(f"{name} is not the file that the manifest names")

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = self._members.get(self._top + name)
        if member is None:
            raise self._refused(f"{name} is missing")
        return member

    def _check(self, member: zipfile.ZipInfo) -> None:
        name, path = member.filename, PurePosixPath(member.filename)
        # zipfile ends a name at a NUL and turns the system's separators; what is written counts.
        written = member.orig_filename
        if path.is_absolute() or ".." in path.parts or {"\\", "\0", ":"} & set(written):
            raise self._refused(f"the name {written!r} leads outside")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self._refused(f"{name!r} is a link or no plain file")
        if member.flag_bits & 1:
            raise self._refused(f"{name!r} is encrypted")
        if member.compress_type not in _KNOWN:
            raise self._refused(f"{name!r} is compressed in a way that is not read")

    def _refused(self, why: str) -> ArtefactError:
        return ArtefactError(f"{self.path} is not read as a model: {why}.")
