"""The side of the requesting program: starts the computing process and answers its read requests."""
