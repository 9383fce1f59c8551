"""All layouts of deliveries.

A layout of folders is a function that takes the files of a place and yields deliveries; vendors' layouts come before
plain pairs, which take what is left. A document is a function that takes the path of a list of scenes and yields those.
To add a layout, write a module and add its function here.
"""

from __future__ import annotations

from . import cresda, dimap, kompsat, landsat, maxar, pairs_csv, plain_pairs, stac

LAYOUTS = (maxar.find, dimap.find, cresda.find, landsat.find, kompsat.find, plain_pairs.find)
"in the order in which they are asked; a file that one has taken is not offered to the next"
DOCUMENTS = {".csv": pairs_csv.read, ".json": stac.read, ".geojson": stac.read}
"by the ending of the file"
