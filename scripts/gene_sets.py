r"""Make the bundled gene sets and the bundled network from packages of Debian and PyPI.

::

    apt-get download r-bioc-org.hs.eg.db r-bioc-go.db r-bioc-progeny
    for package in *.deb; do dpkg-deb -x $package unpacked; done
    pip download --no-deps binn==0.1.1 && unzip binn-*.whl -d unpacked
    Rscript -e 'lazyLoad("unpacked/usr/lib/R/site-library/progeny/data/Rdata")' \
        -e 'write.table(model_human_full, "unpacked/progeny.tsv", sep="\t", row.names=F, quote=F)'
    python scripts/gene_sets.py unpacked mtm_core/data/gene_sets

The Gene Ontology's terms and the annotations of human genes are SQLite files. Reactome's are text:
proteins by the pathway that they are noted in, and the pathways above each. Every gene of a term or
pathway is a gene of those above it, too. All kinds of evidence are in.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

FILES = {
    "go_bp": "go_biological_process",
    "go_mf": "go_molecular_function",
    "go_cc": "go_cellular_component",
}
SMALLEST, LARGEST = 5, 500
BEST, LARGEST_P = 500, 0.05
"""Genes of a pathway of PROGENy: those of the smallest p, below ``LARGEST_P``."""


def main(unpacked: Path, output: Path) -> None:
    """Write one GMT a branch of the ontology, one of Reactome, and PROGENy's weights."""
    library = unpacked / "usr/lib/R/site-library"
    terms = sqlite3.connect(library / "GO.db/extdata/GO.sqlite")
    genes = sqlite3.connect(library / "org.Hs.eg.db/extdata/org.Hs.eg.sqlite")
    names = dict(terms.execute("select go_id, term from go_term"))
    symbols = dict(genes.execute("select _id, symbol from gene_info"))
    for table, name in FILES.items():
        members = defaultdict(set)
        for gene, term in genes.execute(f"select distinct _id, go_id from {table}_all"):
            members[term].add(symbols[gene])
        write_sets(output / name, names, "http://amigo.geneontology.org/amigo/term/", members)
    reactome(unpacked / "binn/data/downloads", genes, symbols, output)
    progeny(unpacked / "progeny.tsv", output)


def reactome(
    folder: Path, genes: sqlite3.Connection, symbols: dict[int, str], output: Path
) -> None:
    """Write the pathways of human proteins, with symbols in place of UniProt's accessions."""
    symbol_of = defaultdict(set)
    for gene, protein in genes.execute("select _id, uniprot_id from uniprot"):
        symbol_of[protein].add(symbols[gene])
    above = defaultdict(set)
    for parent, child in _rows(folder / "reactome_pathways_relation_2025_01_14.txt"):
        above[child].add(parent)
    names, members, unknown = {}, defaultdict(set), set()
    for pathway, name, species in _rows(folder / "reactome_pathways_names_2025_01_21.txt"):
        if species == "Homo sapiens":
            names[pathway] = name.strip()
    for row in _rows(folder / "uniprot_2_reactome_2025_01_14.txt"):
        protein, pathway = row[0].partition("-")[0], row[1]  # an isoform is of its protein's gene
        if row[5] != "Homo sapiens":
            continue
        if protein not in symbol_of:
            unknown.add(protein)
        to_do = [pathway]
        while to_do:
            one = to_do.pop()
            members[one] |= symbol_of.get(protein, set())
            to_do += above[one]
    print(f"Reactome: {len(unknown)} proteins (of viruses and others) have no human gene")
    write_sets(output / "reactome", names, "https://reactome.org/content/detail/", members)


def progeny(model: Path, output: Path) -> None:
    """Write the ``BEST`` genes of each pathway with their weights."""
    rows = defaultdict(list)
    with model.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            rows[row["pathway"]].append((float(row["p.value"]), row["gene"], float(row["weight"])))
    lines = ["source\ttarget\tweight"]
    for pathway in sorted(rows, key=str.lower):
        best = [row for row in sorted(rows[pathway])[:BEST] if row[0] < LARGEST_P]
        print(f"PROGENy: {pathway}: {len(best)} genes, p up to {best[-1][0]:.2g}")
        lines += [f"{pathway}\t{gene}\t{weight:.6g}" for _, gene, weight in best]
    _write(output / "progeny.tsv.gz", lines)


def write_sets(
    output: Path, names: dict[str, str], page: str, members: dict[str, set[str]]
) -> None:
    """Write a GMT: ``name (id)``, the id's page, symbols; of the sizes that are bundled."""
    chosen = {t: m for t, m in members.items() if SMALLEST <= len(m) <= LARGEST}
    lines = [
        "\t".join([f"{names[term]} ({term})", f"{page}{term}", *sorted(chosen[term])])
        for term in sorted(chosen)
    ]
    _write(output.with_name(f"{output.name}.gmt.gz"), lines)


def _rows(path: Path) -> Iterable[list[str]]:
    with path.open() as file:
        yield from (line.rstrip("\n").split("\t") for line in file)


def _write(path: Path, lines: list[str]) -> None:
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())
    print(f"{path}: {len(lines)} lines, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
