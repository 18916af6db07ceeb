"""Downloads from a real HTTP server on this machine, in the layout of the official one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtm_core.data.gtex import resuming
from mtm_core.data.gtex.annotations import (
    read_gene_table,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm_core.data.gtex.download import FILE_KINDS, SUMS, download_gtex
from mtm_core.data.gtex.gct import read_gct
from mtm_core.errors import DownloadError, SelectionError
from tests.gtex_server import (
    ATTRIBUTES_PATH,
    GCT_NAME,
    GCT_PATH,
    GENES_PATH,
    SUBJECTS_PATH,
    Server,
    serving,
)

V10 = "/bulk-gex/v10/rna-seq/GTEx_Analysis_v10_RNASeQCv2.4.2_gene_tpm"


@pytest.fixture
def matrix(rng: np.random.Generator) -> bytes:
    values = rng.gamma(1, 50, size=(400, 60)).round(3)
    lines = ["#1.2", "400\t60", "Name\tDescription\t" + "\t".join(f"GTEX-{i}-1" for i in range(60))]
    lines += [f"ENSG{i:011d}.1\tG{i}\t" + "\t".join(map(str, row)) for i, row in enumerate(values)]
    return gzip.compress(("\n".join(lines) + "\n").encode())


@pytest.fixture
def server(matrix: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(resuming, "_WAIT", 0.0)
    monkeypatch.setattr(resuming, "_CHUNK", 4096)
    files = {
        GCT_PATH: matrix,
        SUBJECTS_PATH: b"SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-1\t2\t60-69\t4\n",
        ATTRIBUTES_PATH: b"SAMPID\tSMATSSCR\tSMTS\tSMTSD\nGTEX-1-1\t0\tBlood\tWhole Blood\n",
        GENES_PATH: (
            b"##provider: GENCODE\nchr17\tHAVANA\tgene\t1\t9\t.\t-\t.\t"
            b'gene_id "ENSG00000141510.16"; gene_type "protein_coding"; gene_name "TP53";\n'
        ),
    }
    with serving(files) as server:
        yield server


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def get_matrix(folder: Path, server: Server, **options: object) -> Path:
    return download_gtex(folder, files=["expression"], base_url=server.url, **options)["expression"]


def test_all_files_are_downloaded_completely_and_read(
    tmp_path: Path, server: Server, matrix: bytes
) -> None:
    seen: list[tuple[str, int, int]] = []
    paths = download_gtex(
        tmp_path / "gtex", base_url=server.url + "/", progress=lambda *step: seen.append(step)
    )
    assert tuple(paths) == FILE_KINDS
    assert paths["expression"].read_bytes() == matrix
    assert read_gct(paths["expression"]).shape == (60, 400)
    assert list(read_sample_attributes(paths["sample-attributes"])["tissue"]) == ["Whole Blood"]
    assert list(read_subject_phenotypes(paths["subject-phenotypes"])["sex"]) == ["female"]
    assert list(read_gene_table(paths["genes"])["symbol"]) == ["TP53"]
    assert names_in(tmp_path / "gtex") == {SUMS, *(path.name for path in paths.values())}
    sums = json.loads((tmp_path / "gtex" / SUMS).read_text())
    assert sums[GCT_NAME] == hashlib.sha256(matrix).hexdigest()
    steps = [step for step in seen if step[0] == GCT_NAME]
    assert steps == sorted(steps)
    assert len(steps) > 3
    assert steps[-1] == (GCT_NAME, len(matrix), len(matrix))


def test_existing_files_are_checked_not_downloaded_again(tmp_path: Path, server: Server) -> None:
    path = get_matrix(tmp_path, server)
    n_requests = len(server.requests)
    assert get_matrix(tmp_path, server) == path
    assert len(server.requests) == n_requests


def test_broken_connection_is_resumed_where_it_stopped(
    tmp_path: Path, server: Server, matrix: bytes
) -> None:
    server.cut(after=8192, times=2)
    path = get_matrix(tmp_path, server)
    assert path.read_bytes() == matrix
    assert [wanted for _, wanted in server.requests] == [None, "bytes=8192-", "bytes=16384-"]
    assert names_in(tmp_path) == {GCT_NAME, SUMS}


def test_a_partial_download_is_resumed(tmp_path: Path, server: Server, matrix: bytes) -> None:
    part = tmp_path / (GCT_NAME + ".part")
    server.cut(after=8192, times=1)
    server.requests.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resuming, "_ATTEMPTS", 1)
        with pytest.raises(
            DownloadError,
            match=r"the connection broke.*continues where it "
            r"stopped",
        ):
            get_matrix(tmp_path, server)
    assert part.read_bytes() == matrix[:8192]
    assert not (tmp_path / GCT_NAME).exists()  # no name before it is whole

    assert get_matrix(tmp_path, server).read_bytes() == matrix
    assert server.requests[-1] == (GCT_PATH, "bytes=8192-")


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_partial_download_of_a_changed_file_is_not_resumed(
    tmp_path: Path, server: Server, matrix: bytes, heeds_if_range: bool
) -> None:
    old = bytes(len(matrix) + 100)
    (tmp_path / (GCT_NAME + ".part")).write_bytes(old[:6000])
    tag = 'mtm-download\n"' + hashlib.md5(old).hexdigest() + '"'
    (tmp_path / (GCT_NAME + ".part.tag")).write_text(tag)
    server.heeds_if_range = heeds_if_range
    assert get_matrix(tmp_path, server).read_bytes() == matrix
    assert server.requests[0][1] == "bytes=6000-"


def test_a_partial_download_of_unknown_version_is_restarted(
    tmp_path: Path, server: Server, matrix: bytes
) -> None:
    (tmp_path / (GCT_NAME + ".part")).write_bytes(b"x" * 6000)
    (tmp_path / (GCT_NAME + ".part.tag")).write_text("mtm-download\n")
    assert get_matrix(tmp_path, server).read_bytes() == matrix
    assert server.requests == [(GCT_PATH, None)]


@pytest.mark.parametrize("ending", [".part", ".part.tag"])
def test_files_of_others_are_not_taken_for_parts(
    tmp_path: Path, server: Server, ending: str
) -> None:
    (tmp_path / (GCT_NAME + ending)).write_text("mine")
    with pytest.raises(DownloadError, match=r"is not part of a download by this program"):
        get_matrix(tmp_path, server)
    assert (tmp_path / (GCT_NAME + ending)).read_text() == "mine"
    assert server.requests == []


@pytest.mark.parametrize("surplus", [b"", b"more"])
def test_part_that_is_already_whole_or_longer(
    tmp_path: Path, server: Server, matrix: bytes, surplus: bytes
) -> None:
    (tmp_path / (GCT_NAME + ".part")).write_bytes(matrix + surplus)
    tag = 'mtm-download\n"' + hashlib.md5(matrix).hexdigest() + '"'
    (tmp_path / (GCT_NAME + ".part.tag")).write_text(tag)
    assert get_matrix(tmp_path, server).read_bytes() == matrix
    assert len(server.requests) == (2 if surplus else 1)


def test_changed_file_is_named_and_left(tmp_path: Path, server: Server, matrix: bytes) -> None:
    path = get_matrix(tmp_path, server)
    path.write_bytes(matrix[:-1])
    with pytest.raises(DownloadError, match=r"expected SHA-256 \w{64}, got \w{64}.*delete it"):
        get_matrix(tmp_path, server)
    assert path.read_bytes() == matrix[:-1]
    path.unlink()
    assert get_matrix(tmp_path, server).read_bytes() == matrix


def test_file_that_the_server_replaced_is_refused(
    tmp_path: Path, server: Server, matrix: bytes
) -> None:
    get_matrix(tmp_path, server).unlink()
    server.files[GCT_PATH] = matrix + b"new"
    with pytest.raises(DownloadError, match=rf"was deleted.*remove {GCT_NAME} from .*{SUMS}"):
        get_matrix(tmp_path, server)
    assert names_in(tmp_path) == {SUMS}


def test_known_sha256_is_held_against_the_download(
    tmp_path: Path, server: Server, matrix: bytes
) -> None:
    with pytest.raises(DownloadError, match="expected SHA-256 " + "0" * 64):
        get_matrix(tmp_path, server, sha256={GCT_NAME: "0" * 64})
    assert names_in(tmp_path) == set()
    right = hashlib.sha256(matrix).hexdigest()
    assert get_matrix(tmp_path, server, sha256={GCT_NAME: right.upper()}).exists()


def test_file_put_there_by_hand_is_taken_and_recorded(tmp_path: Path, server: Server) -> None:
    (tmp_path / GCT_NAME).write_bytes(b"by hand")
    assert get_matrix(tmp_path, server).read_bytes() == b"by hand"
    assert server.requests == []
    sums = json.loads((tmp_path / SUMS).read_text())
    assert sums == {GCT_NAME: hashlib.sha256(b"by hand").hexdigest()}


@pytest.mark.parametrize("unpacked", [False, True])
def test_md5_of_the_store_is_held_against_the_download(
    tmp_path: Path, server: Server, unpacked: bool
) -> None:
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    server.headers = {"x-goog-hash": f"crc32c=AAAAAA==, md5={wrong}"}
    if unpacked:  # then the MD5 is that of other bytes
        server.headers["x-goog-stored-content-encoding"] = "gzip"
        assert get_matrix(tmp_path, server).exists()
    else:
        with pytest.raises(DownloadError, match="not have the MD5"):
            get_matrix(tmp_path, server)
        assert names_in(tmp_path) == set()


def test_right_md5_of_the_store_is_accepted(tmp_path: Path, server: Server, matrix: bytes) -> None:
    right = base64.b64encode(hashlib.md5(matrix).digest()).decode()
    server.headers = {"x-goog-hash": f"crc32c=AAAAAA==, md5={right}"}
    server.cut(after=8192, times=1)
    assert get_matrix(tmp_path, server).read_bytes() == matrix


@pytest.mark.parametrize("suffix", [".gct.gz", "_non_lcm.gct.gz"])
def test_v10_matrix_is_found_under_either_name(
    tmp_path: Path, server: Server, matrix: bytes, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.files = {V10 + suffix: matrix}
    with caplog.at_level("INFO"):
        paths = download_gtex(tmp_path, "v10", ["expression"], base_url=server.url)
    name = (V10 + suffix).rsplit("/", 1)[-1]
    assert paths["expression"].name == name
    assert f"of 2 known names, {name} was found" in caplog.text
    server.requests.clear()
    assert download_gtex(tmp_path, "v10", ["expression"], base_url=server.url) == paths
    assert server.requests == []


@pytest.mark.parametrize("status", [404, 403])
def test_file_that_is_not_there_is_named_with_the_portal(
    tmp_path: Path, server: Server, status: int
) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=rf"does not have {GCT_NAME}.*gtexportal.org"):
        get_matrix(tmp_path, server)
    assert len(server.requests) == 1
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(("status", "n_requests"), [(503, 5), (429, 5), (401, 1)])
def test_only_passing_failures_are_tried_again(
    tmp_path: Path, server: Server, status: int, n_requests: int
) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"the server answered {status}"):
        get_matrix(tmp_path, server)
    assert len(server.requests) == n_requests


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("86400", 60.0), ("soon", 0.0)])
def test_the_wait_that_a_busy_server_asks_for_is_granted_up_to_a_minute(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, asked: str, waited: float
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(resuming.time, "sleep", waits.append)
    server.status, server.headers = 429, {"Retry-After": asked}
    with pytest.raises(DownloadError, match="the server answered 429"):
        get_matrix(tmp_path, server)
    assert waits == [waited] * 4


def test_without_a_network_the_error_names_the_next_step(tmp_path: Path, server: Server) -> None:
    with Server() as closed:
        url = closed.url
    with pytest.raises(DownloadError, match=r"no connection to the server\. Check the network"):
        download_gtex(tmp_path, base_url=url)


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path, server: Server) -> None:
    server.headers = {"Content-Length": str(10**18)}
    with pytest.raises(
        DownloadError,
        match=r"1000000000.0 GB remain to be downloaded and .* GB "
        r"are free",
    ):
        get_matrix(tmp_path, server)
    assert names_in(tmp_path) == set()


def test_full_disk_is_named(
    full_disk: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (full_disk / "filler").write_bytes(b"x" * shutil.disk_usage(full_disk).free)
    room = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    with pytest.raises(
        DownloadError,
        match=r"the disk is full\. Free some space and run this "
        r"again",
    ):
        get_matrix(full_disk, server)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match=r"cannot write here .*Choose another folder"):
        get_matrix(tmp_path / "file" / "gtex", server)


def test_damaged_sums_are_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / SUMS).write_text("[]")
    with pytest.raises(DownloadError, match=rf"{SUMS}: expected JSON of file names"):
        get_matrix(tmp_path, server)


def test_unknown_release_and_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r"unknown GTEx release: 'v9'"):
        download_gtex(tmp_path, "v9")
    with pytest.raises(SelectionError, match=r"unknown GTEx file: 'gene' \(did you mean 'genes'"):
        download_gtex(tmp_path, files=["gene"])
