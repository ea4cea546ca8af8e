"""Names, order and roles of methods, as the registry has them."""

from edlae_sweeps.methods import METHODS, Look


def look(method: str) -> Look:
    """The look of a method. A method that is not in the registry goes by its name."""
    return METHODS[method].look if method in METHODS else Look(label=method, style={})


def label(method: str) -> str:
    """The name of a method in words."""
    return look(method).label


def place(method: str) -> tuple[int, str]:
    """Sort key: registry order, then unknown methods by name."""
    names = list(METHODS)
    return (names.index(method) if method in METHODS else len(names)), method


def paper_methods() -> list[str]:
    """The methods of the paper's Figure 1."""
    return [method for method in METHODS if look(method).in_paper]
