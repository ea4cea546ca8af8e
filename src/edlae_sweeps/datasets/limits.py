"""What a table may take while it is read, counted as its rows come."""

from dataclasses import dataclass

from edlae_sweeps.errors import DataError
from edlae_sweeps.memory import resident_memory
from edlae_sweeps.resources import GIB, Resources

# What a row takes until the data are prepared, at the worst moment.
ROW_BYTES = 36


@dataclass(frozen=True)
class Place:
    """A table in messages: its name, what its rows are called, and the number of the first one."""

    name: str
    unit: str
    first: int

    def error(self, row: int, what: str) -> DataError:
        """What is wrong with a row, which is counted from 0."""
        return DataError(f"can't read {self.name}: {self.unit} {self.first + row}: {what}")


def room(memory: int | None) -> int:
    """Bytes that this process may still take if it may take `memory` in all; None: what the machine has free."""
    return Resources.here(memory=memory).memory - resident_memory()


def check_room(rows: int, names: int, free: int, place: Place) -> None:
    """Raise DataError if so many rows, and names of so many bytes, take more than the `free` bytes."""
    needed = ROW_BYTES * rows + names
    if needed > free:
        raise place.error(
            rows - 1,
            f"the rows up to here need about {needed / GIB:.2g} GiB of memory, and {max(0, free) / GIB:.2g} GiB are "
            "available: give fewer rows or shorter ids, raise memory if it is set, or free some",
        )
