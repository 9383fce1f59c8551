"""Classical fusion and the statistics of a scene, on NumPy alone: what a program without torch can compute.

`engine` fuses a block by one of the `methods`; `scene_statistics` computes what a method fits to the whole scene from
sums over blocks that can be added in any order, so results do not depend on the size of blocks. What the network uses
too (resampling, statistics, BT-H) also takes tensors of torch: it is written with what both have in common, and
`arrays` holds the rest.
"""
