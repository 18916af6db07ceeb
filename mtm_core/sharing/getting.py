"""Install a model from a server or from a disk: whole or not at all.

What comes over the network lies in a hidden folder among the installed models until it is whole, so
that a download that was broken off goes on. It is named by the SHA-256 of the manifest: a download
of another version begins anew.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pooch

from mtm_core.data.gtex.resuming import AbsentError, DownloadProgress, ResumingDownloader
from mtm_core.errors import (
    ArtefactError,
    DownloadError,
    InputFileError,
    OutputError,
    SelectionError,
)
from mtm_core.model_description import MOST_DESCRIPTION_BYTES
from mtm_core.model_folder import (
    MANIFEST,
    MODEL,
    MOST_BYTES,
    MOST_BYTES_OF_OTHERS,
    MOST_MANIFEST_BYTES,
    ModelFolder,
    Seal,
)
from mtm_core.model_places import folder_to_install_in
from mtm_core.safe_output import check_output, put_folder, said_in_words, writing
from mtm_core.sharing.checks import Offer, check_pin, check_room, check_whole
from mtm_core.sharing.model_zip import ModelZip
from mtm_core.sharing.registry import find_published, looks_like_a_name
from mtm_core.sharing.sources import Hosts, Source, find_source
from mtm_core.sharing.web import fetch_small, open_checked, what_came

try:
    import fcntl
except ImportError:  # Windows: two downloads of one model at once are not distinguished
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_PLACE = ".get-"
_ZIP_SPARE_BYTES = 2**20
"""Spare bytes for names and sizes in a zip, which may also hold files that a model lacks."""


@dataclass(frozen=True)
class Installed:
    """A model that was installed.

    Attributes
    ----------
    name, folder
        Name and folder of the model.
    n_bytes
        Its size.
    manifest_sha256
        SHA-256 of its ``manifest.json``.
    is_pinned
        Whether that was named by the caller or the registry.
    verified
        How its predictions here compare with those where it was made; empty if it holds no
        stored samples.
    """

    name: str
    folder: Path
    n_bytes: int
    manifest_sha256: str
    is_pinned: bool
    verified: str = ""


def get_model(
    source: str,
    *,
    sha256: str | None = None,
    unverified: bool = False,
    overwrite: bool = False,
    progress: DownloadProgress | None = None,
    hosts: Hosts | None = None,
) -> Installed:
    """Download a model and install it.

    Parameters
    ----------
    source
        A published model's name, or as :func:`mtm_core.sharing.sources.find_source`.
    sha256
        SHA-256 that its ``manifest.json`` must have; the registry has that of its models.
    unverified
        Take whatever the server names, where no SHA-256 is known.
    overwrite
        Replace an installed model of the same name.
    progress
        Called with how far each file is.
    hosts
        Addresses of the services, for tests and mirrors.

    Raises
    ------
    SelectionError
        If ``source`` names nothing, or no SHA-256 is known.
    DownloadError
        If the server does not give what was asked for.
    ArtefactError, InputFileError
        If what came is not what the manifest names, or no model that this program reads.
    OutputError
        If there is no room, or a model of that name is installed.
    """
    pin, models = check_pin(sha256), folder_to_install_in()
    if looks_like_a_name(source):
        if Path(source).exists():
            raise SelectionError(
                f"{source!r} is not a published model, but is on this disk: mtm model install"
                f" {source}"
            )
        published = find_published(source)
        source, pin = published.source, pin or published.manifest_sha256
    place = find_source(source, hosts)
    beside = place.url(MANIFEST)
    if beside is None:
        if pin is None and not unverified:
            raise SelectionError(
                f"{place.name}: the content of a zip is known only after it is downloaded. Give "
                f"the SHA-256 of its {MANIFEST}, as stated by its publisher, with --sha256; or "
                f"trust the server alone, with --unverified."
            )
        return _get_zip(place, pin, models, overwrite=overwrite, progress=progress)
    offer = Offer.of(_fetch_manifest(place, beside), place.name, pin)
    if pin is None and not unverified:
        raise _unpinned(place.name, offer.sha256)
    described = place.url("model.json")
    if described is not None:
        data = fetch_small(described, offer.seals["model.json"].n_bytes)
        name = str(offer.description(data, place.name)["name"])
        check_output(models / name, overwrite=overwrite, folder=True)
    check_room(models, offer.n_bytes * (2 if place.archive else 1))
    if place.archive:
        found = _get_zip(
            place,
            offer.sha256,
            models,
            most_bytes=offer.n_bytes + _ZIP_SPARE_BYTES,
            overwrite=overwrite,
            progress=progress,
        )
        return replace(found, is_pinned=offer.is_pinned)
    with _place_for(models, offer.sha256) as own:
        made = own / "files"
        for file, seal in offer.seals.items():
            url = place.url(file)
            if url is None:
                raise DownloadError(f"{place.name} has no {file}, which its {MANIFEST} names.")
            part = own / "parts" / file.replace("/", "~")
            _download(url, made / file, part, seal, progress)
        (made / MANIFEST).write_bytes(offer.manifest)
        artefact, verified = check_whole(made, offer)
        name = artefact.name
        offer.description((made / "model.json").read_bytes(), place.name)
        put_folder(made, models / name, overwrite=overwrite, kind=MODEL)
    return _installed(name, models / name, offer, verified)


def install_model(
    path: Path | str, *, sha256: str | None = None, overwrite: bool = False
) -> Installed:
    """Install a model from a folder or a zip of one.

    Raises
    ------
    InputFileError
        If there is neither.
    ArtefactError, OutputError
        As :func:`get_model`.
    """
    path, pin, models = Path(path), check_pin(sha256), folder_to_install_in()
    if path.is_dir():
        files = ModelFolder.open(path)
        offer = Offer.of(files.manifest(), str(path), pin)
        data = files.read("model.json", MOST_DESCRIPTION_BYTES)
        name = str(offer.description(data, str(path))["name"])
        output = models / name
        check_output(output, overwrite=overwrite, inputs=[path], folder=True)
        check_room(models, offer.n_bytes)
        with writing(output, overwrite=overwrite, inputs=[path], folder=True, kind=MODEL) as place:
            for file in offer.seals:
                found = files.file(file)
                assert found is not None
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found, place / file, follow_symlinks=False)
            (place / MANIFEST).write_bytes(offer.manifest)
            _, verified = check_whole(place, offer)
        return _installed(name, output, offer, verified)
    if not path.is_file():
        raise InputFileError(
            f"{path}: no such file or folder; expected a model's folder or a zip of one."
        )
    return _install_zip(path, pin, models, overwrite=overwrite)


def _install_zip(
    path: Path, pin: str | None, models: Path, *, overwrite: bool, place: str = ""
) -> Installed:
    place = place or str(path)
    with ModelZip.open(path) as archive:
        offer = Offer.of(archive.read(MANIFEST, MOST_MANIFEST_BYTES), place, pin)
        data = archive.read("model.json", MOST_DESCRIPTION_BYTES)
        name = str(offer.description(data, place)["name"])
        output = models / name
        check_output(output, overwrite=overwrite, folder=True)
        check_room(models, offer.n_bytes)
        with writing(output, overwrite=overwrite, folder=True, kind=MODEL) as made:
            archive.unpack(offer.seals, made)
            (made / MANIFEST).write_bytes(offer.manifest)
            _, verified = check_whole(made, offer)
    return _installed(name, output, offer, verified)


def _get_zip(
    place: Source,
    pin: str | None,
    models: Path,
    *,
    most_bytes: int = MOST_BYTES + MOST_BYTES_OF_OTHERS,
    overwrite: bool,
    progress: DownloadProgress | None,
) -> Installed:
    """Download a zip, then install what is in it; ``pin`` is the SHA-256 of its manifest."""
    key = pin or hashlib.sha256(place.archive.encode()).hexdigest()
    with _place_for(models, key) as own:
        path = own / "model.zip"
        _download(place.archive, path, own / "parts" / path.name, None, progress, most_bytes)
        try:
            return _install_zip(path, pin, models, overwrite=overwrite, place=place.name)
        except ArtefactError:
            path.unlink()  # to be asked for again
            raise


def _fetch_manifest(place: Source, url: str) -> bytes:
    """Return the manifest, or say that what is there is no model."""
    try:
        data = fetch_small(url, MOST_MANIFEST_BYTES)
    except AbsentError as error:
        raise AbsentError(
            f"{place.name} holds no model: {url} is not there. Expected the address of a model's"
            " folder, or of its zip."
        ) from error
    if not data.lstrip().startswith(b"{"):
        raise DownloadError(f"{url}: expected a model's {MANIFEST}, {what_came(data)} came.")
    return data


def _download(
    url: str,
    output: Path,
    part: Path,
    seal: Seal | None,
    progress: DownloadProgress | None,
    most_bytes: int | None = None,
) -> None:
    """Download one file, unless it is there and is what ``seal`` says."""
    for folder in (output.parent, part.parent):
        folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            url,
            known_hash=None if seal is None else seal.sha256,
            fname=output.name,
            path=output.parent,
            downloader=ResumingDownloader(
                part,
                progress,
                open_checked,
                None if seal is None else seal.n_bytes,
                most_bytes,
                by_hand=False,
            ),
        )
    except ValueError as error:  # pooch has deleted it
        assert seal is not None
        raise DownloadError(
            f"{url}: expected SHA-256 {seal.sha256}, got another file; it was deleted, and "
            f"nothing was installed. Tell the publisher of the model: the file on the server is "
            f"not the one that its {MANIFEST} names."
        ) from error


@contextmanager
def _place_for(models: Path, key: str) -> Iterator[Path]:
    """Yield the hidden folder of one download, left for the next try unless the block ends well."""
    own = models / f"{_PLACE}{key[:32]}"
    with said_in_words(own):
        own.mkdir(parents=True, exist_ok=True)
        with (own / "lock").open("w") as lock:
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise OutputError(
                        f"{own}: another process is downloading this model. Wait until it has "
                        f"finished."
                    ) from None
                except OSError:  # a disk without locks
                    logger.info("%s cannot be locked", own)
            yield own
            shutil.rmtree(own, ignore_errors=True)


def _unpinned(source: str, sha256: str) -> SelectionError:
    return SelectionError(
        f"{source}: its {MANIFEST} has SHA-256 {sha256}, which is not confirmed yet. Compare it "
        f"with the one that the publisher states elsewhere (a paper, a release page), then: mtm "
        f"model get {shlex.quote(source)} --sha256 {sha256} To trust the server alone:"
        " --unverified."
    )


def _installed(name: str, folder: Path, offer: Offer, verified: str) -> Installed:
    return Installed(name, folder, offer.n_bytes, offer.sha256, offer.is_pinned, verified)
