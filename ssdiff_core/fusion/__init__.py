"""Fusion of blocks by the network, on tiles or on patches.

The engine takes a `domain.block.Block` and returns the fused core (see docs/architecture.md). Classical methods, and
the statistics of the scene that the network needs too, are in the package `classical`.
"""
