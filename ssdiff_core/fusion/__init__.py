"""Fusion of blocks: the network on tiles, classical methods, and what both need to know of the whole scene.

An engine takes a `domain.block.Block` and returns the fused core (see docs/architecture.md). `scene_statistics`
gathers what a method fits to the whole scene, from sums over blocks that can be added in any order, so results do not
depend on the size of blocks. `methods` holds the classical methods, a family a file.
"""
