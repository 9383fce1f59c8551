"""The side of the requesting program: starts the computing process and serves its file accesses."""
