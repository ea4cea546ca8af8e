"""What the data have of each user, kept beside a model so that it recommends by the user's name."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Prepared, fixed_width
from edlae_sweeps.errors import DataError
from edlae_sweeps.models import NameIndex, read_array, write_array

# Field → file in the folder of the model.
_FILES = {"names": "user_names.npy", "indptr": "history_indptr.npy", "indices": "history_indices.npy"}


@dataclass(frozen=True, eq=False, repr=False)
class UserHistory:
    """The items of each user as rows of a sparse matrix: user `names[u]` has columns indices[indptr[u]:indptr[u + 1]].

    A training user has all items of the user; a held-out user has the fold-in items, never the targets.
    """

    names: NDArray[Any]
    indptr: NDArray[Any]
    indices: NDArray[Any]

    @classmethod
    def of(cls, data: Prepared) -> Self:
        """The users of a split, in its order: training, validation, test."""
        parts = (data.train, data.validation.fold_in, data.test.fold_in)
        counts = np.concatenate([np.diff(part.indptr) for part in parts])
        indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        indices = np.concatenate([part.indices for part in parts])
        return cls(fixed_width(data.user_names), indptr, indices.astype(np.int32, copy=False))

    @property
    def bytes(self) -> int:
        """Size on disk, about."""
        return self.names.nbytes + self.indptr.nbytes + self.indices.nbytes

    def columns(self, user: Any) -> NDArray[Any] | None:
        """The columns of the items of a user, ascending; None for an unknown user."""
        row = int(self._index.find([user])[0])
        return None if row < 0 else self.indices[self.indptr[row] : self.indptr[row + 1]]

    def save(self, folder: Path) -> None:
        """Write three .npy files to the folder of a model. Raises OSError if that fails."""
        for name, file in _FILES.items():
            write_array(folder / file, getattr(self, name))

    @classmethod
    def load(cls, folder: Path, mmap: bool = True) -> Self | None:
        """The history in a folder, mapped into memory; None if it has none. Raises DataError if it is damaged."""
        if not (folder / _FILES["names"]).is_file():
            return None
        try:
            history = cls(**{name: read_array(folder / file, mmap) for name, file in _FILES.items()})
            if history.indptr.shape != (len(history.names) + 1,) or history.indptr[-1] != len(history.indices):
                raise ValueError("its arrays don't match")
        except (OSError, ValueError, EOFError, IndexError) as error:
            raise DataError(f"can't read the users' history from {folder}: {error}") from error
        return history

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self.names)

    def __repr__(self) -> str:
        return f"UserHistory({len(self.names):,} users, {len(self.indices):,} items)"
