"""Slow and obvious versions of what the package does fast, straight from the equations and from the published
protocol."""

import numpy as np
import pandas as pd


def split(
    rows: list[tuple], heldout_users: int, min_user_events: int, min_item_events: int, fraction: float, seed: int
):
    """The published filter and split, on a data frame and with NumPy's global random state.

    Returns the five parts as lists of (user id, item id), user ids in split order, item ids in order of first
    appearance.
    """
    table = pd.DataFrame(rows, columns=["user", "item"])
    table = table[table.groupby("item")["user"].transform("size") >= min_item_events]
    table = table[table.groupby("user")["item"].transform("size") >= min_user_events]
    users = sorted(table["user"].unique())
    np.random.seed(seed)
    order = [users[i] for i in np.random.permutation(len(users))]
    train_users = order[: len(order) - 2 * heldout_users]
    validation_users = order[len(order) - 2 * heldout_users : len(order) - heldout_users]
    test_users = order[len(order) - heldout_users :]
    train = table[table["user"].isin(train_users)]
    items = list(pd.unique(train["item"]))
    parts = {"train": list(train.itertuples(index=False, name=None))}
    for name, members in (("validation", validation_users), ("test", test_users)):
        plays = table[table["user"].isin(members) & table["item"].isin(items)]
        np.random.seed(seed)
        parts[f"{name}_tr"], parts[f"{name}_te"] = [], []
        for _, group in plays.groupby("user", sort=True):
            pairs = list(group.itertuples(index=False, name=None))
            chosen: set[int] = set()
            if len(pairs) >= 5:
                chosen = set(np.random.choice(len(pairs), size=int(fraction * len(pairs)), replace=False).tolist())
            for position, pair in enumerate(pairs):
                parts[f"{name}_te" if position in chosen else f"{name}_tr"].append(pair)
    return parts, order, items


def penalty(X: np.ndarray, l2: float, dropout: float) -> np.ndarray:
    """Λ as a full matrix (Eq. 8)."""
    return np.diag(l2 + dropout / (1 - dropout) * X.sum(axis=0))


def edlae(X: np.ndarray, Lam: np.ndarray) -> np.ndarray:
    """Full-rank EDLAE, one column at a time: a ridge regression of each item on all the others."""
    n = X.shape[1]
    B = np.zeros((n, n))
    for j in range(n):
        others = [i for i in range(n) if i != j]
        A = X[:, others].T @ X[:, others] + Lam[np.ix_(others, others)]
        B[others, j] = np.linalg.solve(A, X[:, others].T @ X[:, j])
    return B


def algorithm_1(X: np.ndarray, Lam: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """U, V of Algorithm 1, with the products of n×n matrices written out."""
    A = X.T @ X + Lam
    B = edlae(X, Lam)
    values, vectors = np.linalg.eigh(B.T @ A @ B)
    V = vectors[:, np.argsort(-values)[:k]]
    return B @ V, V


def squared_error(X: np.ndarray, W: np.ndarray) -> float:
    """‖X − XW‖²."""
    return float(np.sum((X - X @ W) ** 2))


def eq7(X: np.ndarray, W: np.ndarray, Lam: np.ndarray) -> float:
    """Eq. 7: the squared error of W without its diagonal, plus its penalty."""
    off = W - np.diag(np.diag(W))
    return float(np.sum((X - X @ off) ** 2) + np.sum((np.sqrt(Lam) @ off) ** 2))


def user_metrics(scores: list[float], fold_in: set[int], targets: set[int]) -> tuple[float, float, float]:
    """nDCG@100, Recall@20 and Recall@50 of one user, by sorting; ties go to the lower item index."""
    ranking = sorted(
        (item for item in range(len(scores)) if item not in fold_in), key=lambda item: (-scores[item], item)
    )
    dcg = sum(1 / np.log2(position + 2) for position, item in enumerate(ranking[:100]) if item in targets)
    ideal = sum(1 / np.log2(position + 2) for position in range(min(100, len(targets))))
    recalls = [len(targets & set(ranking[:depth])) / min(depth, len(targets)) for depth in (20, 50)]
    return (dcg / ideal, *recalls)
