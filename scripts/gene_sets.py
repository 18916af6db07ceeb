"""Make the bundled gene sets of the Gene Ontology from two of Debian's packages.

::

    apt-get download r-bioc-org.hs.eg.db r-bioc-go.db
    for package in *.deb; do dpkg-deb -x $package unpacked; done
    python scripts/gene_sets.py unpacked/usr/lib/R/site-library mtm_core/data/gene_sets

Both hold SQLite files: the annotations of human genes as NCBI's gene2go had them, and the terms.
Every gene of a term is a gene of the terms above it, too. All kinds of evidence are in.
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

FILES = {
    "go_bp": "go_biological_process",
    "go_mf": "go_molecular_function",
    "go_cc": "go_cellular_component",
}
SMALLEST, LARGEST = 5, 500


def main(library: Path, output: Path) -> None:
    """Write one GMT a branch of the ontology: ``term (id)``, the id's page, symbols."""
    terms = sqlite3.connect(library / "GO.db/extdata/GO.sqlite")
    genes = sqlite3.connect(library / "org.Hs.eg.db/extdata/org.Hs.eg.sqlite")
    names = dict(terms.execute("select go_id, term from go_term"))
    symbols = dict(genes.execute("select _id, symbol from gene_info"))
    for table, name in FILES.items():
        members = defaultdict(set)
        for gene, term in genes.execute(f"select distinct _id, go_id from {table}_all"):
            members[term].add(symbols[gene])
        selected = {t: m for t, m in members.items() if SMALLEST <= len(m) <= LARGEST}
        lines = [
            "\t".join(
                [f"{names[term]} ({term})", f"http://amigo.geneontology.org/amigo/term/{term}"]
            )
            + "\t"
            + "\t".join(sorted(selected[term]))
            for term in sorted(selected)
        ]
        path = output / f"{name}.gmt.gz"
        with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(("\n".join(lines) + "\n").encode())
        print(f"{path}: {len(selected)} sets, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
