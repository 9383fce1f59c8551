"""All layouts of deliveries.

A layout of folders is a function that takes the files of a place and yields deliveries; vendors' layouts come before
plain pairs, which take what is left. A document is a function that takes the path of a list of scenes. To add one,
write a module and add its function here.
"""

from __future__ import annotations

from . import pairs_csv, plain_pairs

LAYOUTS = (plain_pairs.find,)
"in the order in which they are asked; a file that one has taken is not offered to the next"
DOCUMENTS = {".csv": pairs_csv.read}
"by the ending of the file"
