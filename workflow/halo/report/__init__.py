"""The report of a run: figures, one page of HTML, and the provenance."""
