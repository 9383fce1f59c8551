"""Fusion of blocks: the network on tiles, classical methods, and the statistics of the whole scene that both need.

An engine takes a `domain.block.Block` and returns the fused core (see docs/architecture.md). `scene_statistics`
computes what a method fits to the whole scene from sums over blocks that can be added in any order, so results do not
depend on the size of blocks. `methods` contains the classical methods, one file for each family.
"""
