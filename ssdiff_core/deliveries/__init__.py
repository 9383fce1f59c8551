"""Deliveries: finding what can be fused in folders, archives and lists, and opening it as a pair of rasters.

`find_scenes` walks places and asks the layouts (`layouts.registry`) for deliveries; `pair.delivery_pair` gives the two
rasters of a delivery that `raster.open_pair` opens.
"""

from .delivery import Delivery, Image
from .discover import find_scenes
from .pair import Pair, delivery_pair

__all__ = ["Delivery", "Image", "Pair", "delivery_pair", "find_scenes"]
