"""The side of the computing process."""
