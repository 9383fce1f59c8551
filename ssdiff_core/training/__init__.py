"""Training of weights.

`simulate` makes scenes of a satellite with known truth from finer imagery: `draw` draws everything random, `make`
applies it. `simulated_source` turns them into training samples, and `stored_source` sets of images with known truth;
`samples` are tiles with the inputs and the target of the network. `trainer` trains by a `recipe` (a TOML file).
Everything random follows from the seed and the number of the step or sample pool, so a run that is stopped and resumed
ends with the same weights. Places are held out as a whole, never tiles of a place.
"""
