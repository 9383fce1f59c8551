"""Makes made-up deliveries in the layouts of five vendors from the bundled sample, for tests and for trying archives.

    python scripts/make_deliveries.py FOLDER [--count 24] [--side 256]

Each is a folder or an archive with the names, tiles and metadata of a vendor's product; the scenes differ in place and
pixels. side: of PAN in pixels, a multiple of 16.
"""

from __future__ import annotations

import argparse
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()

SAMPLE = Path(__file__).resolve().parents[1] / "resources" / "sample" / "eureka.npz"
BANDS = ("blue", "green", "red", "nir")
TIME = "2020-06-{day:02}T10:30:{second:02}"


@dataclass(frozen=True)
class Scene:
    """A made-up scene."""

    number: int
    pan: np.ndarray
    "(side, side)"
    ms: np.ndarray
    "(4, side / 4, side / 4): blue, green, red, near infrared"
    truth: np.ndarray
    "(4, side, side)"
    pixel: float = 0.5
    "side of a pixel of PAN in metres"

    @property
    def day(self) -> int:
        return self.number % 28 + 1

    @property
    def time(self) -> str:
        return TIME.format(day=self.day, second=self.number % 60)

    def write(self, path: Path, image: np.ndarray, ratio: float = 1.0, row: int = 0, column: int = 0) -> Path:
        """Writes a part of the scene as a GeoTIFF. row, column: of its first pixel, in pixels of the image."""
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image[None] if image.ndim == 2 else image
        side = self.pixel * ratio
        x, y = 400_000.0 + 50_000 * (self.number % 8), 4_500_000.0 - 50_000 * (self.number // 8)
        file = gdal.GetDriverByName("GTiff").Create(
            str(path), image.shape[2], image.shape[1], len(image), gdal.GDT_UInt16, ["PHOTOMETRIC=MINISBLACK"]
        )
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32610)
        file.SetGeoTransform((x + column * side, side, 0.0, y - row * side, 0.0, -side))
        file.SetProjection(crs.ExportToWkt())
        for index, band in enumerate(image, 1):
            file.GetRasterBand(index).WriteArray(band)
        return path

    def tiles(self, folder: Path, name: str, image: np.ndarray, ratio: float = 1.0) -> list[Path]:
        """Writes an image as two tiles. name: with {} for R1C1 and R1C2."""
        half = image.shape[-1] // 2
        parts = ("R1C1", 0, image[..., :half]), ("R1C2", half, image[..., half:])
        return [self.write(folder / name.format(tile), part, ratio, 0, column) for tile, column, part in parts]


def make_scene(number: int, side: int) -> Scene:
    """Returns a scene of the sample's pixels, mirrored beyond its edges, turned and moved for each number."""
    with np.load(SAMPLE) as file:
        pan, ms, truth = file["pan"], file["ms"].transpose(2, 0, 1), file["truth"].transpose(2, 0, 1)
    start = 16 * (number * 5 % 13)
    return Scene(
        number,
        *(_spread(image, side // step, start // step, number) for image, step in ((pan, 1), (ms, 4), (truth, 1))),
    )


def _spread(image: np.ndarray, side: int, start: int, turns: int) -> np.ndarray:
    turned = np.rot90(image, turns, axes=(-2, -1))
    size = turned.shape[-1]
    at = np.arange(start, start + side) % (2 * size)
    at = np.where(at < size, at, 2 * size - 1 - at)
    return np.ascontiguousarray(turned[..., at, :][..., at])


# --- the layouts -----------------------------------------------------------------------------------------------------

IMD = """version = "28.3";
numRows = {rows};
numColumns = {columns};
bandId = "{band_id}";
{bands}BEGIN_GROUP = IMAGE_1
	satId = "{satellite}";
	firstLineTime = {time}.000000Z;
	cloudCover = {cloud:.3f};
END_GROUP = IMAGE_1
END;
"""
TIL = """bandId = "{band_id}";
numTiles = {count};
tileUnits = "Pixels";
{tiles}END;
"""


def maxar(folder: Path, scene: Scene) -> Path:
    """Two folders with two tiles each, an .IMD and a .TIL file; bands blue, green, red, near infrared."""
    order = f"05678901{scene.number:04}_01_P001"
    root = folder / f"05678901{scene.number:04}_01"
    for letter, kind, image, ratio, names in (("P", "PAN", scene.pan, 1, "P"), ("M", "MUL", scene.ms, 4, "BGRN")):
        stem = f"20JUN{scene.day:02}1030{scene.number % 60:02}-{letter}2AS"
        files = scene.tiles(root / f"{order}_{kind}", f"{stem}_{{}}-{order}.TIF", image, ratio)
        band_id = "P" if letter == "P" else "BGRN"
        groups = "".join(
            f"BEGIN_GROUP = BAND_{name}\n\tabsCalFactor = 1e-2;\nEND_GROUP = BAND_{name}\n" for name in names
        )
        listed = "".join(
            f'BEGIN_GROUP = TILE_{i}\n\tfilename = "{file.name}";\nEND_GROUP = TILE_{i}\n'
            for i, file in enumerate(files, 1)
        )
        size = {"rows": image.shape[-2], "columns": image.shape[-1]}
        told = {"satellite": "WV02", "time": scene.time, "cloud": scene.number % 10 / 100}
        base = root / f"{order}_{kind}" / f"{stem}-{order}"
        base.with_suffix(".IMD").write_text(IMD.format(band_id=band_id, bands=groups, **size, **told))
        base.with_suffix(".TIL").write_text(TIL.format(band_id=band_id, count=len(files), tiles=listed))
    return root


DIMAP = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
  <Metadata_Identification><METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT></Metadata_Identification>
  <Dataset_Content><CLOUD_COVERAGE unit="percent">{cloud}</CLOUD_COVERAGE></Dataset_Content>
  <Dataset_Sources><Source_Identification><Strip_Source>
    <MISSION>PHR</MISSION><MISSION_INDEX>1A</MISSION_INDEX>
    <IMAGING_DATE>{date}</IMAGING_DATE><IMAGING_TIME>{clock}.0Z</IMAGING_TIME>
  </Strip_Source></Source_Identification></Dataset_Sources>
  <Raster_Data>
    <Data_Access><DATA_FILE_FORMAT>image/tiff</DATA_FILE_FORMAT><Data_Files>
      {files}
    </Data_Files></Data_Access>
    <Raster_Dimensions><NROWS>{rows}</NROWS><NCOLS>{columns}</NCOLS><NBANDS>{count}</NBANDS></Raster_Dimensions>
    <Raster_Display><Raster_Index_List>{indices}</Raster_Index_List></Raster_Display>
  </Raster_Data>
</Dimap_Document>
"""


def airbus(folder: Path, scene: Scene) -> Path:
    """Pléiades: two folders with two tiles and a DIM file each; bands red, green, blue, near infrared."""
    root = folder / f"PHR_ORDER_{scene.number:03}"
    date, clock = scene.time.split("T")
    digits = f"{date}{clock}0".replace("-", "").replace(":", "")
    ms = scene.ms[[2, 1, 0, 3]]
    for kind, part, image, ratio, ids in (("P", 1, scene.pan, 1, ("P",)), ("MS", 2, ms, 4, ("B2", "B1", "B0", "B3"))):
        product = f"PHR1A_{kind}_{digits}_ORT_{scene.number:03}-00{part}"
        at = root / f"IMG_PHR1A_{kind}_00{part}"
        files = scene.tiles(at, f"IMG_{product}_{{}}.TIF", image, ratio)
        listed = "".join(
            f'<Data_File tile_R="1" tile_C="{i}"><DATA_FILE_PATH href="{file.name}"/></Data_File>'
            for i, file in enumerate(files, 1)
        )
        indices = "".join(
            f"<Raster_Index><BAND_ID>{name}</BAND_ID><BAND_INDEX>{i}</BAND_INDEX></Raster_Index>"
            for i, name in enumerate(ids, 1)
        )
        size = {"rows": image.shape[-2], "columns": image.shape[-1], "count": len(ids)}
        told = {"cloud": scene.number % 10, "date": date, "clock": clock}
        text = DIMAP.format(files=listed, indices=indices, **size, **told)
        (at / f"DIM_{product}.XML").write_text(text)
    return root


GAOFEN = """<?xml version="1.0" encoding="UTF-8"?>
<ProductMetaData>
  <SatelliteID>GF2</SatelliteID><SensorID>PMS1</SensorID><StartTime>{time}</StartTime>
  <CloudPercent>{cloud}</CloudPercent><Bands>1,2,3,4</Bands>
</ProductMetaData>
"""


def gaofen(folder: Path, scene: Scene) -> Path:
    """GaoFen-2: one archive with a PAN and an MS file, each with its metadata."""
    name = f"GF2_PMS1_E113.6_N23.1_202006{scene.day:02}_L1A{scene.number:010}"
    root = folder / name
    for kind, image, ratio in (("PAN1", scene.pan, 1), ("MSS1", scene.ms, 4)):
        scene.write(root / f"{name}-{kind}.tiff", image, ratio)
        text = GAOFEN.format(time=scene.time.replace("T", " "), cloud=scene.number % 10)
        (root / f"{name}-{kind}.xml").write_text(text)
    archive = folder / f"{name}.tar"
    with tarfile.open(archive, "w") as file:
        file.add(root, name)
    shutil.rmtree(root)
    return archive


MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SPACECRAFT_ID = "LANDSAT_8"
    DATE_ACQUIRED = {date}
    SCENE_CENTER_TIME = "{clock}Z"
    CLOUD_COVER = {cloud}
  END_GROUP = IMAGE_ATTRIBUTES
END_GROUP = LANDSAT_METADATA_FILE
END
"""


def landsat(folder: Path, scene: Scene) -> Path:
    """Landsat 8: one file for each band, at half the resolution of PAN (B8)."""
    name = f"LC08_L1TP_015033_202006{scene.day:02}_20200701_02_T{scene.number % 9 + 1}"
    rows, columns = (side // 2 for side in scene.pan.shape)
    ms = scene.truth.reshape(4, rows, 2, columns, 2).mean((2, 4)).astype(np.uint16)
    bands = {f"B{i}": band for i, band in enumerate(ms, 2)} | {"B1": ms[0], "B6": ms[3], "B7": ms[2], "QA_PIXEL": ms[0]}
    scene.write(folder / name / f"{name}_B8.TIF", scene.pan)
    for band, image in bands.items():
        scene.write(folder / name / f"{name}_{band}.TIF", image, 2)
    date, clock = scene.time.split("T")
    (folder / name / f"{name}_MTL.txt").write_text(MTL.format(date=date, clock=clock, cloud=scene.number % 10))
    return folder / name


AUXILIARY = """<?xml version="1.0" encoding="UTF-8"?>
<Auxiliary><General><Satellite>KOMPSAT-3A</Satellite><ImagingTime>{time}</ImagingTime></General></Auxiliary>
"""


def kompsat(folder: Path, scene: Scene) -> Path:
    """KOMPSAT-3A: one zip file with one file for each band."""
    name = f"K3A_{scene.time.replace('-', '').replace('T', '').replace(':', '')}_0{scene.number:04}_00132510_L1G"
    root = folder / name
    scene.write(root / f"{name}_P.tif", scene.pan)
    for letter, image in zip("BGRN", scene.ms):
        scene.write(root / f"{name}_{letter}.tif", image, 4)
    (root / f"{name}_Aux.xml").write_text(AUXILIARY.format(time=scene.time))
    shutil.make_archive(str(root), "zip", folder, name)
    shutil.rmtree(root)
    return root.with_name(f"{name}.zip")


LAYOUTS: tuple[Callable[[Path, Scene], Path], ...] = (maxar, airbus, gaofen, landsat, kompsat)


def make(folder: Path, count: int = 24, side: int = 256) -> list[Path]:
    """Writes deliveries, the layouts in turn; returns the folder or archive of each."""
    folder.mkdir(parents=True, exist_ok=True)
    return [LAYOUTS[number % len(LAYOUTS)](folder, make_scene(number, side)) for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--side", type=int, default=256)
    args = parser.parse_args()
    for path in make(args.folder, args.count, args.side):
        print(path)


if __name__ == "__main__":
    main()
