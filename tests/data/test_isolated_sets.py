"""Gene sets and networks of users, read in a process of its own: the same as in this one."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtm_core.data.gene_sets.gmt import SETS, GeneSets
from mtm_core.data.gene_sets.networks import Network
from mtm_core.data.isolation import isolated
from mtm_core.data.isolation.isolated import read_network_isolated, read_sets_isolated
from mtm_core.data.isolation.packed_sets import pack_network, pack_sets, unpack_network, unpack_sets
from mtm_core.errors import InputFileError

GMT = "erste Liste é\tlink\tTP53\tBRCA1,1.0\n\nsecond\t\tBRCA1\tMLH1\n".encode()
TABLE = b"tf,target,mor\nA,TP53,0.1\nA,BRCA1,-2\nB,TP53,1e-9\n"


def test_sets_are_those_that_this_process_reads() -> None:
    for data in (GMT, gzip.compress(GMT), (SETS / "reactome.gmt.gz").read_bytes()):
        assert read_sets_isolated(data, "own.gmt") == GeneSets.parse(data, "own.gmt")


def test_networks_are_those_that_this_process_reads() -> None:
    for data in (TABLE, GMT, (SETS / "progeny.tsv.gz").read_bytes()):
        own, other = (read(data, "own") for read in (Network.parse, read_network_isolated))
        for name in ("name", "sources", "targets", "given", "digest"):
            assert getattr(own, name) == getattr(other, name)
        for name in ("source_of", "target_of", "weights"):
            np.testing.assert_array_equal(getattr(own, name), getattr(other, name), strict=True)


@pytest.mark.parametrize("read", [read_sets_isolated, read_network_isolated])
def test_errors_in_isolation_are_those_of_this_process(
    read: Callable[..., object],
) -> None:
    for data, words in (
        (b"<html>", "own.gmt: the file is a web page"),
        (b"a\t\tTP53\na\t\tMLH1\n", "own.gmt: two sets are called 'a'"),
        (gzip.compress(bytes(range(32, 127)) * 200_000), "decompressed file"),
    ):
        with pytest.raises(InputFileError, match=words):
            read(data, "own.gmt", 2**20)


def test_sets_are_read_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError(f"read in process {os.getpid()}")

    monkeypatch.setattr(GeneSets, "parse", fail)
    monkeypatch.setattr(Network, "parse", fail)
    assert len(read_sets_isolated(GMT, "own.gmt")) == 2
    assert len(read_network_isolated(TABLE, "own.csv")) == 2


def test_an_answer_that_is_none_is_refused() -> None:
    sets = json.loads(pack_sets(GeneSets.parse(GMT, "own")))
    network = json.loads(pack_network(Network.parse(TABLE, "own")))
    wrong_sets: list[dict[str, object]] = [
        *({"sets": ["one"]}, {"sets": ["a", "a"]}, {"genes": [1]}, {"genes": []}),
        *({"members": [[0], [9]]}, {"members": [[-1], [0]]}, {"members": "x"}),
    ]
    wrong_networks: list[dict[str, object]] = [
        *({"weights": [1, 2]}, {"weights": [1, 2, "nan"]}, {"sources": {}}),
        *({"source_of": [0, 0, 2]}, {"target_of": [0, True, 0]}),
    ]
    for unpack, about, changes in (
        (unpack_sets, sets, wrong_sets),
        (unpack_network, network, wrong_networks),
    ):
        assert unpack(json.dumps(about).encode(), "own")
        for change in changes:
            with pytest.raises(ValueError, match="no gene sets"):
                unpack(json.dumps(about | change).encode(), "own")
        for garbled in (b"", b"[]", b"\xff", b"[" * 100_000):
            with pytest.raises(ValueError, match="no gene sets"):
                unpack(garbled, "own")


def test_the_screens_read_no_sets_in_the_servers_own_process() -> None:
    screens = Path(isolated.__file__).parents[2] / "dashboard"
    for path in screens.rglob("*.py"):
        assert ".parse(" not in path.read_text(), path
