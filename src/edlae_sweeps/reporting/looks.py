"""Names, order and roles of methods, as the registry has them.

A method that was fitted from products with X has lines and rows of its own, and is named `closed (products)`. So has
one that was polished, `closed (polished)`.
"""

from dataclasses import replace
from typing import Any

from edlae_sweeps.methods import METHODS, Look
from edlae_sweeps.methods.products import BY_PRODUCTS

# Changes of a method's line: rings around the markers of the same fit from a dense G.
_PRODUCTS_STYLE: dict[str, Any] = {"markerfacecolor": "none", "markersize": 9, "linestyle": "-", "linewidth": 0.8}


_POLISHED = " (polished)"
_POLISHED_STYLE: dict[str, Any] = {"marker": "v", "markerfacecolor": "none", "linestyle": "-.", "linewidth": 1.0}
_VARIANTS = {BY_PRODUCTS: _PRODUCTS_STYLE, _POLISHED: _POLISHED_STYLE}


def by_products(method: str) -> str:
    """The name of a method that was fitted from products."""
    return method + BY_PRODUCTS


def polished(method: str) -> str:
    """The name of a method whose Eq. 7 was lowered further."""
    return method + _POLISHED


def is_polished(method: str) -> bool:
    """Whether this is the name of such a method."""
    return method.endswith(_POLISHED)


def look(method: str) -> Look:
    """The look of a method. A method that is not in the registry goes by its name."""
    for variant, style in _VARIANTS.items():
        if method.endswith(variant):
            plain = look(method.removesuffix(variant))
            # A polished model is beyond the paper; products are another way to the paper's.
            in_paper = plain.in_paper and variant != _POLISHED
            return replace(plain, label=plain.label + variant, style={**plain.style, **style}, in_paper=in_paper)
    return METHODS[method].look if method in METHODS else Look(label=method, style={})


def label(method: str) -> str:
    """The name of a method in words."""
    return look(method).label


def place(method: str) -> tuple[int, str]:
    """Sort key: registry order, then unknown methods by name; each before its variants."""
    names, registered = list(METHODS), method.split(" (")[0]
    return (names.index(registered) if registered in METHODS else len(names)), method


def paper_methods() -> list[str]:
    """The methods of the paper's Figure 1."""
    return [method for method in METHODS if look(method).in_paper]
