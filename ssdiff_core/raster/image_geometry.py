"""Geometry of images that are not orthorectified: RPCs and ground control points, moved to the grid of the output.

Those of PAN only have to be moved by the extent. If only MS has them, lines and samples are scaled to PAN's grid, where
sample i of MS is at at + i * ratio (see domain.grid.Placement).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from osgeo import gdal

from ..domain.scene import Scene
from . import metadata
from .reader import open_raster

AXES = (("LINE", 0), ("SAMP", 1))
"names of the axes in an RPC, and their numbers"


@dataclass(frozen=True)
class Mapping:
    """Maps positions of pixel centres of a raster to those of the output, for rows and columns."""

    at: tuple[float, float]
    "position of the raster's first pixel"
    step: float
    "distance of its pixels"

    def centre(self, axis: int, position: float) -> float:
        return self.at[axis] + position * self.step

    def corner(self, axis: int, position: float) -> float:
        """Maps a position that is counted from the corner of the first pixel."""
        return self.centre(axis, position - 0.5) + 0.5


def rpc_of(scene: Scene) -> dict[str, str]:
    """Returns the RPC of the output; {} if neither PAN nor MS has one that can be used."""
    for source, mapping in _sources(scene):
        found = metadata.entries(source, "RPC")
        moved = _moved(found, mapping) if found else None
        if moved:
            return {**found, **moved}
    return {}


def _moved(rpc: dict[str, str], mapping: Mapping) -> dict[str, str] | None:
    """Returns offset and scale of lines and samples in the output; None if they are no numbers."""
    moved = {}
    for name, axis in AXES:
        offset, scale = (_number(rpc.get(f"{name}_{key}", "")) for key in ("OFF", "SCALE"))
        if not (math.isfinite(offset) and math.isfinite(scale)):
            return None
        moved[f"{name}_OFF"] = repr(mapping.centre(axis, offset))
        moved[f"{name}_SCALE"] = repr(scale * mapping.step)
    return moved


def _number(text: str) -> float:
    """Returns the number at the start of a text, which a unit may follow; NaN if there is none."""
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return math.nan


def ground_control(scene: Scene) -> tuple[list[gdal.GCP], str]:
    """Returns the ground control points of the output and their CRS as WKT; none if it is georeferenced."""
    if scene.grid.placed:
        return [], ""
    for source, mapping in _sources(scene):
        found = source.GetGCPs()
        if found:
            points = [
                gdal.GCP(
                    p.GCPX, p.GCPY, p.GCPZ, mapping.corner(1, p.GCPPixel), mapping.corner(0, p.GCPLine), p.Info, p.Id
                )
                for p in found
            ]
            return points, source.GetGCPProjection()
    return [], ""


def _sources(scene: Scene) -> list[tuple[gdal.Dataset, Mapping]]:
    """Returns PAN, and MS unless it is warped, each with its mapping to the output."""
    row, col = scene.window.row, scene.window.col
    found = [(open_raster(scene.pan.path), Mapping((-row, -col), 1.0))]
    if not scene.warped:
        placement = scene.resampling.placement if scene.resampling else scene.placement
        at = placement.at[0] - row, placement.at[1] - col
        found.append((open_raster(scene.ms[0].path), Mapping(at, placement.ratio)))
    return found
