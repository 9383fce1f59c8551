"""What an archive run consists of, as plain values that are sent to workers: the run, its scenes, their outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .. import __version__
from ..deliveries import Delivery
from ..domain.options import PansharpenOptions


@dataclass(frozen=True)
class ArchiveRun:
    """What all scenes of a run share."""

    root: str
    "folder of the archive: local or shared, or by GDAL's names such as /vsis3/"
    options: PansharpenOptions
    mask: str = ""
    "file of polygons to fuse"
    uncertainty: bool = False
    "whether the standard deviation of the samples is written too"
    report: bool = False
    "whether a quality report is written for each scene"
    processors: int = 1
    "processors that a task computes with"
    id: str = ""
    "number of the run, which its tasks and messages carry"
    version: str = __version__

    @property
    def topic(self) -> str:
        "Topic of the messages that tasks send to the client."
        return f"ssdiff-archive-{self.id}"

    def sources(self, scene: str) -> str:
        """Returns the folder of a scene's virtual rasters: in a local archive, otherwise in each process's memory."""
        folder = "/vsimem/ssdiff-archive" if self.root.startswith("/vsi") else f"{self.root}/sources"
        return f"{folder}/{scene}"


@dataclass(frozen=True)
class SceneJob:
    """A scene to fuse."""

    name: str
    "name of the scene in the archive"
    delivery: Delivery
    out: str
    "name of the fused image within the archive"
    pixels: int
    "pixels of the output"
    sensor: str
    bands: tuple[str, ...] = ()
    "names of the bands of the output"
    wavelengths: tuple[float, ...] = ()
    "their centre wavelengths in nm; (): unknown"
    large: bool = False
    "whether many workers fuse it together"
    weights: str = ""
    "SHA-256 of the weights; empty for a classical method"
    weights_id: str = ""
    key: str = ""
    "digest of the inputs and of all that the pixels depend on"

    def beside(self, ending: str) -> str:
        """Returns the name of a file that belongs to the image."""
        return str(PurePosixPath(self.out).with_suffix("")) + ending

    @property
    def item(self) -> str:
        "Name of the STAC item, which is written last: a scene with an item is complete."
        return self.beside(".json")

    @property
    def parts(self) -> str:
        "Folder of the parts of a large scene."
        return self.beside(".parts")


@dataclass(frozen=True)
class Outcome:
    """What became of a scene, as a worker tells it."""

    name: str
    worker: str
    item: dict = field(default_factory=dict)
    "STAC item; empty if the scene failed"
    reason: str = ""
    "why the scene failed"
