"""Files that people brought, each with the clean file of the same people."""

from __future__ import annotations

COUNTS, TPM = "00_base/counts.csv", "00_base/tpm.csv"
# Case: (clean table, unit to choose where it must be chosen, least r of a gene).
SAME = {
    "02_biomart_columns/counts_annotated.csv": (COUNTS, "", 0.9999),
    "39_more_annotation/width_gc.csv": (COUNTS, "", 0.9999),
    "32_filtered_index/filtered.parquet": (COUNTS, "", 0.9999),
    "11_deseq2_plus_counts/edger_logcpm.csv": (COUNTS, "log2", 0.999),
    "14_ln_log10/log10p.csv": (COUNTS, "log10", 0.999),
    "17_tidy_long/long_tpm.csv": (TPM, "", 0.999),
    "18_european/counts_thousand_dots.csv": (COUNTS, "", 0.9999),
    "20_duplicate_rows/y_rna_at_end.csv": (COUNTS, "", 0.9999),
    "21_sample_names/visits.csv": (COUNTS, "", 0.9999),
    "21_sample_names/leading0.csv": (COUNTS, "", 0.9999),
    "22_rows_with_clinic/log2_rows_weight.csv": (COUNTS, "", 0.999),
    "23_gct/tissue_with_id.gct": (COUNTS, "", 0.9999),
    "24_xlsx/readme_first.xlsx": (COUNTS, "", 0.9999),
    "26_h5ad/log1p.h5ad": (COUNTS, "", 0.999),
    "26_h5ad/old.h5ad": (COUNTS, "", 0.9999),
    "34_ids_more/ensg_symbol_noversion.tsv": (COUNTS, "", 0.9999),
    "35_vst_real/vst.csv": (COUNTS, "", 0.98),
}
