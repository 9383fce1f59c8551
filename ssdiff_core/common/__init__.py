"""Basics without domain knowledge: errors, notices, progress, locks, threads, paths, isolated processes."""
