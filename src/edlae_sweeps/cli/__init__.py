"""The command line: help → compose → typed settings → run. The only importer of Hydra and OmegaConf.

This file imports nothing, so that --help and --version start at once.
"""
