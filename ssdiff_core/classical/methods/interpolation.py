"""EXP: MS interpolated to PAN's pixels, without any detail of PAN."""

from __future__ import annotations

from .method import Method


def _exp(stats, samples):
    return samples.ms, lambda lms, pan: lms


EXP = Method("exp", _exp)
