"""Names of columns that are numbers and no samples, as databases and programs write them.

Names only hint: a column is judged by its values (:mod:`mtm_core.data.layout.annotation_columns`),
and by its name alone if there are too few rows to judge by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

METADATA = frozenset({"age", "sex", "gender", "bmi", "hardy", "group", "batch", "rin"})
"""Names of metadata of samples, normalised as by :func:`normalised`."""
_METADATA_WORDS = frozenset(
    {"age", "sex", "gender", "bmi", "rin", "batch", "weight", "height", "kg", "cm", "ng", "ul"}
    | {"ml", "dose", "visit", "day", "days", "week", "weeks", "month", "months", "year", "years"}
    | {"time", "timepoint", "date", "concentration", "conc", "library", "librarysize", "libsize"}
    | {"total", "totals", "depth", "mapped", "unmapped", "lane", "plate", "well", "run", "score"}
    | {"patient", "subject", "donor", "hospital", "temperature", "pressure", "percent", "pct"}
    | {"sum", "reads", "smoker", "death", "survival", "platelets", "leukocytes", "crp", "hb"}
)
ANNOTATIONS = METADATA | frozenset(
    {"chr", "chrom", "chromosome", "chromosomename", "start", "end", "strand", "width", "stop"}
    | {"startposition", "endposition", "genestart", "geneend", "seqnames", "band"}
    | {"length", "genelength", "txlength", "transcriptlength", "efflength", "effectivelength"}
    | {"exonlength", "cdslength", "unionlength", "merged", "kb", "size"}
    | {"gc", "gccontent", "percentgc", "percentagegenegccontent", "percentagegccontent"}
    | {"entrez", "entrezid", "entrezgene", "entrezgeneid", "geneid", "ncbigeneid", "ncbi", "hgncid"}
    | {"index", "unnamed0", "level0", "rownames", "row", "rank"}
    | {"transcriptcount", "ntranscripts", "nexons", "exoncount", "ntx"}
)
"""Names of annotation of genes and of samples."""
STATISTICS = frozenset(
    {"log2foldchange", "logfc", "log2fc", "foldchange", "fc", "lfcse", "stat", "t", "b", "f", "lr"}
    | {"pvalue", "pval", "p", "padj", "adjpval", "fdr", "qvalue", "qval", "adjpvalue", "svalue"}
    | {"dispersion", "zscore", "score", "weight", "percentile"}
)
"""Names of test statistics, by gene."""
ALWAYS_SUMMARIES = frozenset({"basemean", "aveexpr", "logcpm", "basevar", "rowsum", "rowmean"})
_SUMMARY = re.compile(
    r"(row|grand|over ?all)?[ _.-]*(sum|total|mean|average|avg|ave|median|max(imum)?|min(imum)?"
    r"|sd|std|stdev|var(iance)?|cv)s?([ _.-].*)?",
    re.IGNORECASE,
)


def normalised(name: str) -> str:
    """Return a name in lower case, without what separates words."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_annotation(name: str) -> bool:
    """Tell whether ``name`` is one of annotation, of metadata or of a test's result."""
    short = normalised(name)
    return short in ANNOTATIONS or short in STATISTICS or short in ALWAYS_SUMMARIES


def is_statistic(name: str) -> bool:
    """Tell whether ``name`` is one of a test's result."""
    return normalised(name) in STATISTICS or normalised(name) in ALWAYS_SUMMARIES


def is_metadata(name: str) -> bool:
    """Tell whether ``name`` has a word that names what is known of a sample: ``weight_kg``."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return not _METADATA_WORDS.isdisjoint(words)


def is_summary(name: str) -> bool:
    """Tell whether ``name`` is that of a sum or mean over samples."""
    return normalised(name) in ALWAYS_SUMMARIES or _SUMMARY.fullmatch(name.strip()) is not None


def written_alike(names: Sequence[str]) -> list[bool]:
    """Tell which of ``names`` are numbered as at least two others are: PT01, PT02, PT03."""
    forms = [_form(name) for name in names]
    count = Counter(forms)
    return ["0" in form and count[form] > 2 for form in forms]


def most_written_alike(names: Sequence[str]) -> list[str]:
    """Return the names of the commonest form, if three are of it."""
    forms = [_form(name) for name in names]
    count = Counter(form for form in forms if "0" in form)
    form, n = count.most_common(1)[0] if count else ("", 0)
    return [name for name, its in zip(names, forms, strict=True) if its == form and n > 2]


def _form(name: str) -> str:
    return re.sub(r"\d+", "0", name.strip())
