"""Progress, tables and lines in the terminal; the only importer of rich."""

from edlae_sweeps.console.lines import print_line, printable
from edlae_sweeps.console.progress import Stage, hide_progress, stage
from edlae_sweeps.console.tables import print_table

__all__ = ["Stage", "hide_progress", "print_line", "print_table", "printable", "stage"]
