"""Slow, obvious versions of what the package computes, straight from the equations and the published protocol."""

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
    """Full-rank EDLAE, one column at a time: a ridge regression of each item on all other items."""
    n = X.shape[1]
    B = np.zeros((n, n))
    for j in range(n):
        rest = [i for i in range(n) if i != j]
        A = X[:, rest].T @ X[:, rest] + Lam[np.ix_(rest, rest)]
        B[rest, j] = np.linalg.solve(A, X[:, rest].T @ X[:, j])
    return B


def algorithm_1(X: np.ndarray, Lam: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """U, V of Algorithm 1, with every product of n×n matrices."""
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


def admm(X: np.ndarray, Lam: np.ndarray, omega: float, U: np.ndarray, epochs: int) -> list[np.ndarray]:
    """UVᵀ after each epoch of low-rank EDLAE by ADMM: the published updates, with every product."""
    n = X.shape[1]
    G = X.T @ X
    A, Omega = G + Lam, Lam + omega * np.eye(n)
    beta, gamma, products = np.zeros(n), np.zeros(n), []
    for _ in range(epochs):
        right = G @ np.diag(1 + beta) + Omega @ np.diag(beta - gamma)
        V = (np.linalg.inv(U.T @ (A + Omega) @ U) @ U.T @ right).T
        U = np.linalg.inv(A) @ right @ V @ np.linalg.inv(V.T @ V)
        W = U @ V.T
        growth = np.diag(G @ W) - np.diag(G) + np.diag(Omega) * (np.diag(W) + gamma)
        beta = np.maximum(0, growth / (np.diag(G) + omega))
        gamma = gamma + np.diag(W) - beta
        products.append(W)
    return products


def best_left_factor(A: np.ndarray, H: np.ndarray, V: np.ndarray) -> np.ndarray:
    """argmin over U of ⟨UVᵀ, A UVᵀ⟩ − 2⟨H, UVᵀ⟩ subject to diag(UVᵀ) = 0, from its optimality conditions:

    A U VᵀV + dMat(η)V = HV and Σ_a U_ja V_ja = 0 for all j, one linear system in (U, η).
    """
    n, k = V.shape
    system = np.zeros((n * k + n, n * k + n))
    system[: n * k, : n * k] = np.kron(A, V.T @ V)
    for j in range(n):
        system[j * k : (j + 1) * k, n * k + j] = V[j]
        system[n * k + j, j * k : (j + 1) * k] = V[j]
    right = np.concatenate([(H @ V).ravel(), np.zeros(n)])
    return np.linalg.lstsq(system, right, rcond=None)[0][: n * k].reshape(n, k)


def zero_diagonal(X: np.ndarray, Lam: np.ndarray, V: np.ndarray, epochs: int) -> list[np.ndarray]:
    """UVᵀ after each epoch, which alternates between the best U and the best V with diag(UVᵀ) = 0."""
    G = X.T @ X
    A, products = G + Lam, []
    for _ in range(epochs):
        U = best_left_factor(A, G, V)
        # Given U, each row of V is a regression on k numbers with one constraint.
        V = np.zeros_like(V)
        P = np.linalg.pinv(U.T @ A @ U, hermitian=True)
        for j in range(len(G)):
            free, along = P @ U.T @ G[:, j], P @ U[j]
            V[j] = free - along * (U[j] @ free / (U[j] @ along)) if U[j] @ along > 1e-14 else free
        products.append(U @ V.T)
    return products


def emphasised_loss(X: np.ndarray, U: np.ndarray, V: np.ndarray, p: float, kept: np.ndarray) -> float:
    """The loss of emphasised denoising for one mask of all entries: the squared error where `kept` is False."""
    scores = (kept * X / (1 - p)) @ U @ V.T
    return float(np.sum((~kept) * (X - scores) ** 2))


def deql(X: np.ndarray, l2: float, p: float, rho: float) -> np.ndarray:
    """Full-rank DEQL, one column at a time: a weighted regression on the items with column j dropped, then kept."""
    n, q = X.shape[1], 1 - p
    W = np.zeros((n, n))
    for j in range(n):
        dropped, kept = X.copy(), X.copy()
        dropped[:, j], kept[:, j] = 0, X[:, j] / q
        # The variance of the dropout of every other item.
        noise = l2 + p / q * np.sum(X**2, axis=0)
        noise[j] = l2
        weights = np.sqrt([1 - q * rho, q * rho])
        rows = np.vstack([weights[0] * dropped, weights[1] * kept, np.diag(np.sqrt(noise))])
        targets = np.concatenate([weights[0] * X[:, j], weights[1] * X[:, j], np.zeros(n)])
        W[:, j] = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return W


def deql_loss(X: np.ndarray, W: np.ndarray, l2: float, p: float, rho: float) -> float:
    """The expected loss of DEQL: the sum over all masks of X of probability × loss, plus λ‖W‖²."""
    total = 0.0
    for bits in np.ndindex((2,) * X.size):
        kept = np.array(bits, bool).reshape(X.shape)
        chance = np.prod(np.where(kept, 1 - p, p))
        weights = np.where(kept, rho, (1 - (1 - p) * rho) / p)
        total += chance * np.sum(weights * (X - (kept * X / (1 - p)) @ W) ** 2)
    return float(total + l2 * np.sum(W**2))


def dan(X: np.ndarray, Lam: np.ndarray, choose, alpha: float, beta: float, cut: str = "B", k: int | None = None):
    """DAN by its definition, with every product: W of rank k (full without k), and all eigenvalues of the cut matrix.

    `choose` gives d from diag C and diag Λ.
    """
    normalised = np.diag(X.sum(axis=1) ** (-beta / 2)) @ X
    A = normalised.T @ normalised + Lam
    C = np.linalg.inv(A)
    B = np.eye(len(A)) - C @ np.diag(choose(C.diagonal(), Lam.diagonal()))
    left, right = (np.diag(X.sum(axis=0) ** power) for power in (alpha, -alpha))
    if k is None:
        W = left @ B @ right
        return W - np.diag(W.diagonal()), None
    scale = right if cut == "W" else np.eye(len(A))
    values, vectors = np.linalg.eigh(scale @ B.T @ A @ B @ scale)
    V = vectors[:, ::-1][:, :k]
    W = left @ B @ scale @ V @ V.T
    return W if cut == "W" else W @ right, values[::-1]
