"""Selection of the best items of each row of a score matrix, on a device."""

import torch


def top_items(scores: torch.Tensor, depth: int) -> torch.Tensor:
    """The `depth` best items of each row of (users, n), best first; ties go to the lower item index.

    `torch.topk` leaves open which of tied items it takes, so it only supplies the lowest score that counts.
    """
    users, n = scores.shape
    depth = min(depth, n)
    last = scores.topk(depth, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    chosen = scores >= last
    if int(chosen.sum()) > users * depth:
        chosen = scores > last
        tied = scores == last
        room = depth - chosen.sum(dim=1, keepdim=True)
        # The first ones, in the order of the items.
        chosen |= tied & (tied.cumsum(dim=1, dtype=torch.int32) <= room)
    # In ascending order of the items, which a stable sort keeps among ties.
    items = chosen.nonzero()[:, 1].view(users, depth)
    order = scores.gather(1, items).sort(dim=1, descending=True, stable=True).indices
    return items.gather(1, order)
