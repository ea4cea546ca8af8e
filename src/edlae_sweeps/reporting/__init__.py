"""The report: what the tracking store holds, as figures, tables and a page. Reads tracking alone, never methods."""

from edlae_sweeps.reporting.report import report

__all__ = ["report"]
