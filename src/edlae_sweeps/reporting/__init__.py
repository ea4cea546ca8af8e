"""The report: figures, tables and one page from the runs in the tracking store."""

from edlae_sweeps.reporting.report import Report, report

__all__ = ["Report", "report"]
