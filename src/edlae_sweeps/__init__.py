"""Tracked sweeps of linear autoencoders (Steck & Garcia, "On the Regularization of Autoencoders", 2021)."""

__version__ = "0.1.0"
