"""Small scenes with the folders and metadata files of the vendors' products."""

from __future__ import annotations

from pathlib import Path

from files import ramps, write

IMD = """version = "28.3";
generationTime = 2020-01-01T00:00:00.000000Z;
numRows = 40;
numColumns = 50;
bandId = "Multi";
bitsPerPixel = 16;
{bands}BEGIN_GROUP = IMAGE_1
	satId = "{satellite}";
	mode = "FullSwath";
END_GROUP = IMAGE_1
BEGIN_GROUP = MAP_PROJECTED_PRODUCT
	ULX = 500001.0;
	ULY = 3999999.0;
	colSpacing = 2.0;
	rowSpacing = 2.0;
END_GROUP = MAP_PROJECTED_PRODUCT
END;
"""
DIMAP = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
  <Metadata_Identification><METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT></Metadata_Identification>
  <Dataset_Content><Dataset_Components/></Dataset_Content>
  <Dataset_Sources><Source_Identification><Strip_Source>
    <MISSION>{mission}</MISSION><MISSION_INDEX>{index}</MISSION_INDEX>
  </Strip_Source></Source_Identification></Dataset_Sources>
  <Raster_Data>
    <Data_Access><DATA_FILE_FORMAT>image/tiff</DATA_FILE_FORMAT><Data_Files>
      <Data_File tile_R="1" tile_C="1"><DATA_FILE_PATH href="{image}"/></Data_File>
    </Data_Files></Data_Access>
    <Raster_Dimensions><NROWS>{rows}</NROWS><NCOLS>{cols}</NCOLS><NBANDS>{n}</NBANDS>
      <Tile_Set><NTILES>1</NTILES><Regular_Tiling>
        <NTILES_SIZE nrows="{rows}" ncols="{cols}"/><NTILES_COUNT ntiles_R="1" ntiles_C="1"/>
      </Regular_Tiling></Tile_Set>
    </Raster_Dimensions>
    <Raster_Encoding><DATA_TYPE>INTEGER</DATA_TYPE><NBITS>16</NBITS><SIGN>UNSIGNED</SIGN></Raster_Encoding>
    <Raster_Display>
      <Band_Display_Order>
        <RED_CHANNEL>B2</RED_CHANNEL><GREEN_CHANNEL>B1</GREEN_CHANNEL><BLUE_CHANNEL>B0</BLUE_CHANNEL>
      </Band_Display_Order>
      <Raster_Index_List>{indices}</Raster_Index_List>
    </Raster_Display>
  </Raster_Data>
</Dimap_Document>
"""
GAOFEN = """<?xml version="1.0" encoding="UTF-8"?>
<ProductMetaData><SatelliteID>GF2</SatelliteID><SensorID>PMS1</SensorID><Bands>1,2,3,4</Bands></ProductMetaData>
"""
MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SPACECRAFT_ID = "{spacecraft}"
  END_GROUP = IMAGE_ATTRIBUTES
END_GROUP = LANDSAT_METADATA_FILE
END
"""


def digitalglobe(folder: Path, satellite="WV03", bands=("B", "G", "R", "N"), kind="IMD") -> tuple[Path, Path]:
    """Writes a PAN and a MUL folder with the metadata next to the images."""
    pan, ms, pan_at, ms_at = ramps(bands=len(bands))
    pan_name, ms_name = "20JAN01-P2AS-0001_01_P001", "20JAN01-M2AS-0001_01_P001"
    for part in ("PAN", "MUL"):
        (folder / part).mkdir()
    files = (
        write(folder / "PAN" / f"{pan_name}.TIF", pan, pan_at),
        write(folder / "MUL" / f"{ms_name}.TIF", ms, ms_at),
    )
    for file, names in zip(files, (("P",), bands)):
        if kind == "IMD":
            groups = "".join(f"BEGIN_GROUP = BAND_{b}\n\tabsCalFactor = 1e-2;\nEND_GROUP = BAND_{b}\n" for b in names)
            file.with_suffix(".IMD").write_text(IMD.format(bands=groups, satellite=satellite))
        else:
            groups = "".join(f"<BAND_{b}><ABSCALFACTOR>1e-2</ABSCALFACTOR></BAND_{b}>" for b in names)
            file.with_suffix(".XML").write_text(
                f"<isd><IMD><VERSION>28</VERSION>{groups}<IMAGE><SATID>{satellite}</SATID></IMAGE></IMD></isd>"
            )
    return files


def airbus(folder: Path, mission="PHR", index="1A", order=("B2", "B1", "B0", "B3")) -> tuple[Path, Path]:
    """Writes IMG_ files with DIM_ files; that of MS lists the bands."""
    pan, ms, pan_at, ms_at = ramps(bands=len(order))
    files = []
    for part, image, at, ids in (("P", pan, pan_at, ("P",)), ("MS", ms, ms_at, order)):
        scene = f"{mission}{index}_{part}_201206010000000_ORT"
        file = write(folder / f"IMG_{scene}_R1C1.TIF", image, at)
        listed = "".join(
            f"<Raster_Index><BAND_ID>{name}</BAND_ID><BAND_INDEX>{i}</BAND_INDEX></Raster_Index>"
            for i, name in enumerate(ids, 1)
        )
        rows, cols = image.shape[-2:]
        text = DIMAP.format(
            mission=mission, index=index, image=file.name, rows=rows, cols=cols, n=len(ids), indices=listed
        )
        (folder / f"DIM_{scene}.XML").write_text(text)
        files.append(file)
    return files[0], files[1]


def gaofen(folder: Path) -> tuple[Path, Path]:
    pan, ms, pan_at, ms_at = ramps(bands=4)
    files = write(folder / "scene-PAN1.tiff", pan, pan_at), write(folder / "scene-MSS1.tiff", ms, ms_at)
    for file in files:
        file.with_suffix(".xml").write_text(GAOFEN)
    return files


LANDSAT_8 = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9", "B10", "B11", "QA_PIXEL", "QA_RADSAT", "SAA", "VZA")
LANDSAT_7 = ("B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7", "QA_PIXEL")


def landsat(folder: Path, number: int = 8) -> dict[str, Path]:
    """Writes one file for each band (B8 is PAN) and an MTL.txt; band k of the list is the ramp plus 100 k counts."""
    scene = f"L{'E' if number == 7 else 'C'}0{number}_L1TP_015033_20220101_20220110_02_T1"
    names = LANDSAT_7 if number == 7 else LANDSAT_8
    pan, ms, pan_at, ms_at = ramps(ratio=2, at=(0.0, 0.0), pixel=15, bands=1)
    (folder / f"{scene}_MTL.txt").write_text(MTL.format(spacecraft=f"LANDSAT_{number}"))
    files = {name: write(folder / f"{scene}_{name}.TIF", ms[0] + 100 * k, ms_at) for k, name in enumerate(names)}
    return {"B8": write(folder / f"{scene}_B8.TIF", pan, pan_at), **files}
