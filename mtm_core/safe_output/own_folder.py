"""A folder that a command comes back to: of training, of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtm_core.errors import OutputError
from mtm_core.safe_output.in_words import real_place, said_in_words
from mtm_core.safe_output.mark import Mark, files_below
from mtm_core.safe_output.place import check_parent, listed, refuse_inputs
from mtm_core.safe_output.staging import made_parents, staged_beside, sweep, to_disk


class OwnFolder:
    """A folder that a command comes back to; each file in it is written whole.

    It is marked before anything is written in it. A file that is there and is not in its mark is
    never replaced.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path, self._mark = path, mark

    @classmethod
    def among(cls, path: Path, kind: str) -> OwnFolder:
        """Take a folder that may hold others' files too: none of these is ever replaced.

        Raises
        ------
        OutputError
            If it is not a folder, or cannot be written to.
        """
        mark = Mark.of(path) if path.is_dir() else None
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} exists already, and is not a folder. Name another.")
        check_parent(path)
        with said_in_words(path):
            path.mkdir(parents=True, exist_ok=True)
        return cls(real_place(path), mark or Mark(kind, frozenset()))

    @classmethod
    def claim(
        cls, path: Path, kind: str, *, inputs: Iterable[Path] = (), known: Iterable[str] = ()
    ) -> OwnFolder:
        """Take a folder that is new, empty, or of the same kind, and mark it.

        Parameters
        ----------
        kind
            Kind of folder, for its mark.
        inputs
            As :func:`check_output`.
        known
            Names that are ours though there is no mark: the caller has looked into the files.

        Raises
        ------
        OutputError
            If it holds other things, or cannot be written to.
        """
        own = cls.to_be(path, kind, inputs=inputs, known=known)
        with said_in_words(path), made_parents(own.path):
            if Mark.of(own.path) is None:
                own._mark.write(own.path)
            sweep(own.path, "")
        return own

    @classmethod
    def to_be(
        cls, path: Path, kind: str, *, inputs: Iterable[Path] = (), known: Iterable[str] = ()
    ) -> OwnFolder:
        """Check what :meth:`claim` would, and touch nothing.

        Raises
        ------
        OutputError
            As there.
        """
        refuse_inputs(path, inputs)
        path = real_place(path)
        mark = Mark.of(path) if path.is_dir() else None
        if mark is not None and mark.kind != kind:
            raise OutputError(f"{path} holds {mark.kind} of mtm. Name another folder.")
        if mark is None and path.exists():
            if not path.is_dir() or path.is_symlink():
                raise OutputError(f"{path} exists already, and is not a folder. Name another.")
            others = sorted(set(files_below(path)) - set(known))
            if others:
                raise OutputError(
                    f"{path} holds files that mtm did not write ({listed(others)}). Name a new"
                    " folder."
                )
        check_parent(path)
        return cls(path, mark or Mark(kind, frozenset(known)))

    def check(self, *names: str) -> None:
        """Refuse, before any work, names under which there is something that is not ours.

        Raises
        ------
        OutputError
            If there is.
        """
        taken = [
            name
            for name in names
            if not self._mark.owns(name)
            and ((self.path / name).is_symlink() or (self.path / name).exists())
        ]
        if taken:
            raise OutputError(
                f"{self.path} holds files that mtm did not write ({listed(taken)}), under names"
                " that it would write. Move them, or name another folder."
            )

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a place to write the file ``name`` to, which it takes when the block ends.

        Raises
        ------
        OutputError
            As :meth:`check`, or if there is no room.
        """
        with self.adding() as folder:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            yield place

    @contextmanager
    def adding(self, *, last: str = "", instead_of: Iterable[str] = ()) -> Iterator[Path]:
        """Yield an empty folder whose files take their places in this one when the block ends.

        Parameters
        ----------
        last
            The file without which the others are nothing; it comes last.
        instead_of
            Names of ours that are deleted where they are not written anew.

        Raises
        ------
        OutputError
            As :meth:`check`, or if there is no room.
        """
        with said_in_words(self.path), staged_beside(self.path, "files") as folder:
            staged = folder / "files"
            staged.mkdir()
            yield staged
            names = sorted(files_below(staged), key=lambda name: (name == last, name))
            self.check(*names)
            to_disk(staged)
            self.own(*names)
            if last and last in names and self._mark.owns(last):
                (self.path / last).unlink(missing_ok=True)  # no old one beside new parts
            for name in instead_of:
                if name not in names and self._mark.owns(name):
                    (self.path / name).unlink(missing_ok=True)
            for name in names:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).replace(self.path / name)

    def own(self, *names: str) -> None:
        """Enter names in the mark; one that ends in ``/`` means all below."""
        self.check(*names)
        if not set(names) <= self._mark.files:
            there = Mark.of(self.path) or self._mark  # another process may have added to it
            self._mark = Mark(there.kind, there.files | set(names))
            with said_in_words(self.path):
                self._mark.write(self.path)

    def clear(self) -> None:
        """Delete what is ours in it: to begin anew."""
        for name in files_below(self.path):
            if self._mark.owns(name):
                path = self.path / name
                path.unlink()
                for folder in path.relative_to(self.path).parents[:-1]:
                    with suppress(OSError):  # holds more
                        (self.path / folder).rmdir()
