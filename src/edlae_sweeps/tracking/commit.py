"""The git commit of the code that runs, where it runs from a checkout."""

from contextlib import suppress
from pathlib import Path


def source_commit(package: Path) -> str | None:
    """The commit of the checkout that holds `package` as src/NAME, as an editable install does; None without one.

    It reads the files of git, which takes no time and does not need git.
    """
    git = package.parents[1] / ".git"
    if package.parent.name != "src" or not git.exists():
        return None
    with suppress(OSError, UnicodeDecodeError):
        if git.is_file():
            # A worktree: this file names the folder of its HEAD.
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        return _resolved(git, head.removeprefix("ref:").strip())
    return None


def _resolved(git: Path, ref: str) -> str | None:
    """The commit that a branch points to: in a file of its own, or in the list of packed ones."""
    common = git / "commondir"
    shared = git / common.read_text(encoding="utf-8").strip() if common.exists() else git
    for folder in (git, shared):
        if (folder / ref).is_file():
            return (folder / ref).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {ref}")), None)
