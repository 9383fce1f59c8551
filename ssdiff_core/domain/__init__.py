"""Plain values and arithmetic of the domain: numpy only, no files, no torch."""
