"""A prediction on its page: all samples, one gene, the table, and everything to take home."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import streamlit as st
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.dashboard.screens.predicted_choice import GENE, HEATMAP, Shown
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_genes import greyed
from mtm_core.dashboard.widgets.downloads import (
    by_tissue_bytes,
    by_tissue_file_bytes,
    file_name,
    prediction_bytes,
    prediction_file_bytes,
    tissue_bytes,
    tissue_file_bytes,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_shell
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.dashboard.widgets.views import (
    heatmap_data,
    interval_of_gene,
    log2_of_gene,
    most_informative,
    reference_of_gene,
    rows_of,
    strips_data,
    z_of_gene,
    z_of_tissue,
)
from mtm_core.data.cohort.normalise import explain_unit
from mtm_core.data.notes import counted
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.samples.gene_strips import expression_strips
from mtm_core.figures.samples.heatmap import z_heatmap
from mtm_core.figures.shared.thinning import drawn_in_words
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.together import sources_of
from mtm_core.memory_budget import in_words
from mtm_core.reporting.command_line import predict_arguments
from mtm_core.reporting.command_words import InputFiles
from mtm_core.workflows.annotated import Beside, people_and_metadata
from mtm_core.workflows.server_limits import max_download


@dataclass(frozen=True)
class Predicted:
    """A prediction, and what is said beside it.

    Attributes
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
    held_out
        Accuracy of the model from the prediction's source.
    artefact
        The model.
    genes
        Genes of the model.
    session
        Session that it was made in.
    """

    prediction: xr.Dataset
    held_out: GeneAccuracy
    artefact: Artefact
    genes: GeneNames
    session: Session

    @classmethod
    def of(cls, prediction: xr.Dataset, session: Session, model: ServedModel) -> Predicted:
        """Put the accuracy of ``model`` beside its prediction."""
        held_out = GeneAccuracy.of(model, sources_of(prediction))
        artefact = model.predictor.artefact
        return cls(prediction, held_out, artefact, model.genes, session)

    @cached_property
    def samples(self) -> list[str]:
        """Names of the samples."""
        return [str(sample) for sample in self.prediction["sample"].values]

    @cached_property
    def tissues(self) -> list[str]:
        """The predicted tissues."""
        return [str(tissue) for tissue in self.prediction["tissue"].values]

    def show(self, shown: Shown) -> None:
        """Show what was chosen."""
        if shown.view == HEATMAP:
            self._show_heatmap(shown)
        elif shown.view == GENE:
            self._show_gene(shown)
        else:
            self._show_rows(shown)

    def _show_heatmap(self, shown: Shown) -> None:
        if shown.by_tissue:
            z = z_of_gene(self.prediction, shown.gene)
            accuracy = self.held_out.of_pairs(self.tissues, [shown.gene] * len(self.tissues))
            where, column = shown.label, "tissue"
        else:
            z = z_of_tissue(self.prediction, shown.tissue, self.genes)
            genes = list(self.genes.values())
            accuracy = self.held_out.of_pairs([shown.tissue] * len(genes), genes)
            where, column = shown.tissue, "gene"
        accuracy.index = z.columns
        if shown.predictable_only:
            z = z.loc[:, accuracy["predictable"] == "yes"]
        if z.empty:
            st.info(
                f"Nothing is predictable in {plain(where)}. Turn off 'Predictable genes only' to "
                f"see the genes greyed out."
            )
            end_page()
        rho = accuracy["rho_by_fold"] if self.held_out.exists else None
        drawn = most_informative(z, rho)
        caption = (
            f"Predicted z-scores, {where}: each row is a sample, each column a {column}. 0 is "
            f"the mean of the GTEx donors; red is above it, blue below."
        )
        if self.held_out.exists:
            caption += (
                " Bars show the held-out rho, by fold. Columns are ordered by it, and greyed out "
                "where the pooled rho is 0.3 or less."
            )
        if drawn.shape[1] < z.shape[1]:
            by = "best predicted" if self.held_out.exists else "that vary most in your samples"
            caption += f" Shown: the {drawn.shape[1]} of {z.shape[1]:,} {by}."
        show_figure(
            z_heatmap(
                drawn,
                rho,
                column=column,
                unpredictable=list(accuracy.index[accuracy["predictable"] == "no"]),
            ),
            key="z",
            name=f"{self.session.file_stem}z_{where}",
            caption=caption,
            data=heatmap_data(drawn, rho),
        )

    def _show_gene(self, shown: Shown) -> None:
        prediction, gene, marked = self.prediction, shown.gene, shown.highlighted
        values = log2_of_gene(prediction, gene)
        reference = reference_of_gene(self.artefact, gene)
        interval = interval_of_gene(prediction, gene, marked) if marked else None
        show_figure(
            expression_strips(
                values,
                reference,
                unit=prediction.attrs["unit"],
                colours=self.artefact.tissues["colour"],
                accuracy=self.held_out.by_tissue_in_words(self.tissues, gene),
                highlighted=marked,
                interval=interval,
            ),
            key="expression",
            name=f"{self.session.file_stem}expression_{shown.label}",
            caption=f"{shown.label}: predicted expression of each sample (points) over the GTEx "
            f"donors of the tissue. The pale bar holds 90 % of the donors, the dark bar half of "
            f"them, and the tick is their median. The held-out accuracy of this gene in each "
            f"tissue is at the right. Predictions shrink towards the mean, so that they vary "
            f"less than the donors do."
            + drawn_in_words(*values.shape)
            + (
                f" The line of a marked sample is its interval: {prediction.attrs['interval']}."
                if interval is not None
                else ""
            ),
            data=strips_data(values, reference, interval),
        )

    def _show_rows(self, shown: Shown) -> None:
        attrs = self.prediction.attrs
        tissues = self.tissues if shown.all_tissues else [shown.tissue]
        genes = list(self.genes.values()) if shown.all_genes else [shown.gene]
        which = (shown.all_genes or shown.gene, shown.predictable_only)
        first, n_rows = self.session.remember(
            ("rows", tuple(tissues), shown.samples, *which),
            lambda: rows_of(
                self.prediction,
                self.held_out,
                tissues=tissues,
                genes=genes,
                samples=shown.samples or self.samples,
                predictable_only=shown.predictable_only,
            ),
        )
        first = show_rows(
            first,
            key="rows",
            height=520,
            listed="sample, tissue",
            is_searched=False,  # it may be the first rows of many; a gene is chosen above
            style=greyed,
            order=[column for column in first if column != "gene_id"] + ["gene_id"],
            columns={
                "gene_id": "gene id",
                "expression": st.column_config.NumberColumn(
                    f"expression ({plain(attrs['unit'])})", format="%.3f"
                ),
                "z": st.column_config.NumberColumn("z", format="%.3f"),
                "lower": st.column_config.NumberColumn("90 % from", format="%.3f"),
                "upper": st.column_config.NumberColumn("90 % to", format="%.3f"),
                "rho_by_fold": st.column_config.NumberColumn("rho, by fold", format="%.2f"),
                "rho_pooled": st.column_config.NumberColumn("rho, pooled", format="%.2f"),
            },
        )
        st.caption(
            f"{len(first):,} of {n_rows:,} rows. Predictable means a pooled held-out rho above 0.3."
            + (
                f" Interval: {plain_message(attrs['interval'])}."
                if "lower" in self.prediction
                else ""
            )
            + (" Filter to see other rows." if len(first) < n_rows else "")
        )
        download_table(
            first,
            key="predicted_rows",
            name=f"{self.session.file_stem}predicted_rows",
            label="These rows",
        )

    def offer_everything(self, options: PredictionOptions, files: InputFiles) -> None:
        """Offer the whole prediction as a file; of a larger one, the command that makes it."""
        unit_in_words = explain_unit(self.prediction.attrs["unit"], len(self.genes))
        interval = (
            "; `lower` and `upper` bound the 90 % interval of `expression`"
            if "lower" in self.prediction
            else ""
        )
        st.header("Everything")
        st.markdown(
            f"The whole prediction: {counted(len(self.samples), 'sample', 'samples')},"
            f" {counted(len(self.tissues), 'tissue', 'tissues')} and"
            f" {counted(len(self.genes), 'gene', 'genes')}. CSV and parquet have one row per"
            " sample, tissue and gene: `sample`, `tissue`, `gene_id`, `gene`, `expression` in"
            f" {plain(unit_in_words)}, and `z`{interval}."
            " h5ad also has the held-out rho of each gene, plain and adjusted,"
            " the notes and the options."
            " Every file is for research use, not for diagnosis."
        )
        most, too_large = max_download(), []
        with st.container(horizontal=True):
            for ending, name in ((".csv", "CSV"), (".parquet", "Parquet"), (".h5ad", "h5ad")):
                size = prediction_file_bytes(self.prediction, ending)
                if size > most:
                    too_large.append((name, ending, size))
                    continue
                st.download_button(
                    name,
                    partial(prediction_bytes, self.prediction, ending, self.beside(options)),
                    file_name=file_name(
                        f"{self.session.file_stem}predicted_{self.artefact.name}", ending
                    ),
                    key=f"download_all_{ending[1:]}",
                    on_click="ignore",
                    icon=":material/download:",
                )

        if too_large:
            sizes = " and ".join(f"{name} (up to {in_words(size)})" for name, _, size in too_large)
            st.info(
                f"{sizes}: this server makes files of up to {in_words(most)}. Make this one on "
                f"your own machine:",
                icon=":material/terminal:",
            )
            name, ending, _ = too_large[0]
            output = f"predicted{ending}"
            show_shell(self._command(options, files, output))

    def beside(self, options: PredictionOptions) -> Beside:
        """Return what is known beside the values: ``.h5ad`` has slots for it."""
        session, people = self.session, self.session.predicted_people
        if session.metadata is not None and not self.prediction.attrs["covariates"]:
            people = session.metadata.phenotypes()  # known, though the model does not read it
        return Beside(
            self.held_out.evaluation,
            self.artefact.method.name,
            people_and_metadata(people, session.metadata),
            session.predicted_notes,
            options,
        )

    def offer_by_tissue(self, tissue: str, options: PredictionOptions, files: InputFiles) -> None:
        """Offer one file a tissue: of ``tissue``, and of all, or the command that makes these."""
        st.subheader("One file per tissue")
        st.caption(
            "Genes in rows, samples in columns: expression in"
            f" {plain(self.prediction.attrs['unit'])}."
        )
        stem, most = f"{self.session.file_stem}predicted", max_download()
        every = by_tissue_file_bytes(self.prediction)
        with st.container(horizontal=True):
            for ending, name in ((".csv", "CSV"), (".parquet", "Parquet")):
                if tissue_file_bytes(self.prediction, ending) <= most:
                    st.download_button(
                        f"{plain(tissue)} ({name})",
                        partial(tissue_bytes, self.prediction, tissue, ending),
                        file_name=file_name(f"{stem}_{tissue}_{self.artefact.name}", ending),
                        key=f"download_tissue_{ending[1:]}",
                        on_click="ignore",
                        icon=":material/download:",
                    )
            if every <= most:
                st.download_button(
                    f"{counted(len(self.tissues), 'tissue', 'tissues')} (zip of CSV)",
                    partial(by_tissue_bytes, self.prediction),
                    file_name=file_name(f"{stem}_by_tissue_{self.artefact.name}", ".zip"),
                    key="download_by_tissue",
                    on_click="ignore",
                    icon=":material/folder_zip:",
                )
        if every > most:
            st.info(
                f"{counted(len(self.tissues), 'tissue', 'tissues')} (up to {in_words(every)}): this"
                " server makes "
                f"files of up to {in_words(most)}. Make the folder on your own machine:",
                icon=":material/terminal:",
            )
            show_shell(self._command(options, files, "predicted", layout="wide"))

    def show_command(self, options: PredictionOptions, files: InputFiles) -> None:
        """Show the command that makes the same values, of the options and files that made these."""
        with st.expander("The same from the command line"):
            show_shell(self._command(options, files, "predicted.csv"))
            st.caption(
                f"Model SHA-256 {self.artefact.sha256}, mtm"
                f" {plain(self.prediction.attrs['mtm_version'])}."
            )

    def _command(
        self, options: PredictionOptions, files: InputFiles, output: str, *, layout: str = "long"
    ) -> list[str]:
        """Return the words of the command that makes the values of this prediction."""
        return predict_arguments(
            options.as_used(self.prediction).in_command(self.artefact.method.tissues),
            files,
            model=self.artefact.name,
            output=output,
            layout=layout,
        )
