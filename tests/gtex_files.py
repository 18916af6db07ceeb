"""A simulated cohort as the files that GTEx publishes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad

from mtm_core.data.genes.ids import strip_version
from mtm_core.data.gtex.annotations import tissue_table
from mtm_core.data.gtex.gct import write_gct


@dataclass(frozen=True)
class GtexFiles:
    expression: Path
    sample_attributes: Path
    subject_phenotypes: Path
    gtf: Path
    gene_table: Path

    def options(self) -> list[str]:
        """The options of ``mtm data prepare`` that every call needs."""
        return [
            f"--expression={self.expression}",
            f"--sample-attributes={self.sample_attributes}",
            f"--subject-phenotypes={self.subject_phenotypes}",
        ]


def write_gtex_files(folder: Path, cohort: ad.AnnData, *, pseudogenes: list[str]) -> GtexFiles:
    """Write ``cohort``; all genes but ``pseudogenes`` are protein-coding."""
    files = GtexFiles(
        folder / "gene_tpm.gct",
        folder / "SampleAttributesDS.txt",
        folder / "SubjectPhenotypesDS.txt",
        folder / "gencode.gtf",
        folder / "gene_types.tsv",
    )
    write_gct(cohort, files.expression)
    site = tissue_table()["site"]
    samples = ["SAMPID\tSMATSSCR\tSMTS\tSMTSD\tSMAFRZE"]
    samples += [
        f"{sample}\t1\t{site[tissue]}\t{tissue}\tRNASEQ"
        for sample, tissue in cohort.obs["tissue"].items()
    ]
    files.sample_attributes.write_text("\n".join(samples) + "\n")
    donors = ["SUBJID\tSEX\tAGE\tDTHHRDY"]
    donors += [
        f"{donor}\t{1 if row.sex == 'male' else 2}\t{row.age_band}\t{row.hardy:.0f}"
        for donor, row in cohort.uns["donors"].iterrows()
    ]
    files.subject_phenotypes.write_text("\n".join(donors) + "\n")
    kinds = {
        gene: "processed_pseudogene" if gene in pseudogenes else "protein_coding"
        for gene in cohort.var_names
    }
    gtf = ["##provider: GENCODE"]
    gtf += [
        f"chr{1 + i % 22}\tHAVANA\tgene\t{i + 1}\t{i + 9}\t.\t+\t.\t"
        f'gene_id "{gene}"; gene_type "{kinds[gene]}"; gene_name "{cohort.var["symbol"][gene]}";'
        for i, gene in enumerate(cohort.var_names)
    ]
    files.gtf.write_text("\n".join(gtf) + "\n")
    table = ["ENSEMBL\tSYMBOL\tENTREZID\tGENETYPE"]
    table += [
        f"{strip_version(gene)}\t{row.symbol}\t{row.entrez}\t{kinds[gene].replace('_', '-')}"
        for gene, row in cohort.var.iterrows()
    ]
    files.gene_table.write_text("\n".join(table) + "\n")
    return files
