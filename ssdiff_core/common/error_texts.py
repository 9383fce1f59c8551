"""The texts of errors that are notices: see `common.notices`.

The plugin translates them; tests/qgis/services/test_i18n.py reports errors that are told in English only.
"""

from __future__ import annotations

ERRORS: dict[str, str] = {
    "cannot_write": "{path} cannot be written: {reason}",
    "disk_full": "{path} cannot be written: the disk is full; make room or name another folder",
    "too_little_room": "{path} needs about {needed} and {free} are free there: make room or name another folder",
    "output_in_use": "{path} is being written by {holder}: wait until it ends, or choose another output file",
    "cannot_open": "{path} cannot be opened: {reason}",
    "cannot_read": "{path} cannot be read: {reason}",
    "no_overlap": "PAN and MS do not overlap. PAN: {pan}. MS: {ms}.",
    "ms_finer_than_pan": (
        "MS pixels are {times:.3g} times finer than PAN pixels: are the two named in the wrong order? PAN: {pan}. MS: "
        "{ms}."
    ),
    "ratio_outside": (
        "PAN pixels are {ratio:.3g} times finer than MS pixels; {minimum:g} to {maximum:g} can be pansharpened. PAN: "
        "{pan}. MS: {ms}."
    ),
    "extent_outside": "the extent contains no ground that both PAN and MS cover. PAN: {pan}. MS: {ms}.",
    "weights_unknown": "unknown weights {name!r}: choose {known}, or give the path of a file",
    "no_weights_for_scene": (
        "there are no weights for {bands} bands at ratio {ratio:.3g}; name a weights file (--weights), or choose a "
        "classical method, such as mtf-glp-fs (--method)"
    ),
    "weights_not_downloaded": (
        "weights {weights} are not on this computer and cannot be downloaded ({reason}): get {url} in another way and "
        "import the file (ssdiff weights import FILE, or Download weights in QGIS)"
    ),
    "device_fails": "device {device!r} does not work here: {reason}",
    "worker_killed": (
        "the computing process was killed from outside, as systems do that run out of memory: allow less memory or "
        "choose another device"
    ),
    "worker_ended": "the computing process {how}: {reason}",
    "held_out_uniform": (
        "the held-out part of {path} is uniform, so weights cannot be judged on it: use a scene with more detail"
    ),
    "all_masked": "{path} cannot be trained on: all of it is masked or cloud; use a scene with cloud-free ground",
    "folder_missing": "{path} cannot be written: the folder {folder} does not exist",
    "no_permission": "{path} cannot be written: no permission to write to {folder}",
    "output_twice": "{path} is used for two outputs: choose another file",
    "lock_foreign": "{path} is a file that SSDiff has not made: move it away, or choose another output",
    "output_locked": "{target} is being written by another run: wait until it ends, or choose another output",
    "lock_unwritable": "{target} cannot be written: {path}: {reason}",
    "folder_is_file": "{folder} is a file: choose a folder",
    "folder_not_created": "the folder {folder} cannot be created ({reason}): choose another one",
    "scenes_several": "{place} contains {count} scenes: {names}; choose one by its folder, or by --scene and its name",
    "does_not_exist": "{path} does not exist",
    "list_too_large": "{path} has {size} bytes; lists of scenes of up to {maximum} bytes are read",
    "cannot_be_read": "{path} cannot be read",
    "place_missing": "{place} does not exist: name a folder, an archive, a list of pairs (.csv) or a STAC file (.json)",
    "place_wrong": (
        "{place} is not one of the places where scenes are found: name a folder, an archive, a list of pairs "
        "(.csv) or a STAC file (.json)"
    ),
    "csv_columns": "{path} needs the columns pan and ms in its first line; it has {columns}",
    "csv_damaged": "{path} is no CSV file: {reason}",
    "csv_sensor": "{path}, line {line}: unknown sensor '{sensor}'; the sensors are {known}",
    "stac_without_assets": "{path} is no STAC Item or ItemCollection: its features need assets",
    "json_damaged": "{path} is no JSON file: {reason}",
    "ms_file_elsewhere": "{file} has another size or position than the other MS files",
    "tiles_far_apart": "the tiles with {file} are too far apart",
    "tile_bands": "{file} has {count} bands, and {other} {expected}",
    "tile_off_grid": "the tile {file} is not on the pixel grid of {other}",
    "tile_without_place": "the tile {file} is not georeferenced, and its name tells no row and column",
    "geotransform_wrong": (
        "{name} has a geotransform that maps its pixels to no area on the ground ({values}): correct its "
        "georeferencing, for example with gdal_edit"
    ),
    "geotransform_line": "a geotransform is degenerate: it maps the raster to a line",
    "sizes_unrelated": (
        "neither PAN nor MS is georeferenced, and PAN is no whole number of times as large as MS: PAN {pan_width} "
        "x {pan_height}, MS {ms_width} x {ms_height} pixels"
    ),
    "extent_invalid": "the extent {x0:g},{y0:g},{x1:g},{y1:g} is empty or infinite: it must be XMIN,YMIN,XMAX,YMAX",
    "extent_beside_pan": "the extent {x0:g},{y0:g},{x1:g},{y1:g} does not touch PAN: {pan}",
    "sensor_products": "{label} has products of {counts} bands; MS has {bands}. Describe its bands, or choose general",
    "unknown_sensor": "unknown sensor '{name}'; the sensors are {known}",
    "cpu_out_of_memory": "out of memory: the CPU cannot compute a single tile at a time; free some memory",
    "toolbox_ratio": (
        "the toolbox convention supports ratios 2, 4, 8 and 16, not {ratio:g}: use the geometric convention"
    ),
    "scene_too_small": (
        "the scene is too small: its degraded MS would have {coarse} pixels along a side, and needs {minimum}"
    ),
    "weights_truncated_reason": "{path} is not a whole safetensors file: {reason}",
    "fused_size": "{path} is not georeferenced and has another size than PAN. PAN: {pan}. {path}: {grid}.",
    "fused_off_grid": "{path} is not on PAN's pixel grid: warp it to that grid first. PAN: {pan}. {path}: {grid}.",
    "fused_elsewhere": "{path} does not overlap PAN. PAN: {pan}. {path}: {grid}.",
    "offline": "{path} is not opened, as it is on the network ({address}): SSDIFF_OFFLINE=1",
    "nodata_unfit": "nodata {nodata:g} does not fit in {dtype}",
    "block_size": "creation option {key}={value}: must be a whole number from {minimum} to {maximum}",
    "mask_empty": "{name} contains no polygon to use as a mask",
    "mask_unplaced": "PAN is not georeferenced: a mask needs a georeferenced PAN",
    "mask_outside": "the mask contains no ground that both PAN and MS cover. PAN: {pan}.",
    "mask_unreadable": "{path} cannot be opened as polygons: {reason}",
    "mask_unusable": "the polygons of {name} cannot be used as a mask: {reason}",
    "no_image_band": "{path} contains no image band",
    "one_georeferenced": "only one of the two is georeferenced. PAN: {pan}. MS: {ms}.",
    "ms_grids": "the MS files have different grids. {first}: {first_grid}. {second}: {second_grid}.",
    "band_type": "{path}: band {index} is of type {dtype}; real numbers are needed",
    "no_such_band": "there is no band {number}: MS has bands 1 to {count}",
    "cannot_warp": "{path} cannot be warped onto PAN: {reason}",
    "no_common_area": "MS cannot be warped onto PAN: their coordinate systems have no area in common",
    "cannot_warp_ms": "MS cannot be warped onto PAN: {reason}",
    "python_fails": "{python} cannot run SSDiff: {reason}",
    "python_unstartable": "the Python interpreter {python} cannot be started ({reason}): choose another one",
    "no_wheels_folder": "there is no folder {folder} with wheels: choose an existing folder",
    "install_failed": "{reason} (installer output: {log})",
    "cache_unwritable": "{folder} cannot be written ({reason}): choose another cache folder",
    "environment_in_use": (
        "{folder} is in use, or belongs to another user: close all other QGIS windows and try again, or choose "
        "another cache folder"
    ),
    "packages_fail": "the installed packages do not work: {reason} (installer output: {log})",
    "install_room": (
        "{folder} has {free:.1f} GB free and {needed:.1f} GB are needed: free disk space, or choose another cache "
        "folder"
    ),
    "no_cuda_wheels": "there are no CUDA wheels for this computer: {reason}",
    "no_torch": (
        "there is no PyTorch for Python {major}.{minor} on {platform}: select a Python with PyTorch in the options "
        "of Processing, or in SSDIFF_PYTHON"
    ),
    "not_weights": "{path} is not an SSDiff weights file: its header has format {format}",
    "not_safetensors": "{path} is not a whole safetensors file with a card: {reason}",
    "header_lacks": "{path}: the header has no {name!r}",
    "header_invalid": "{path}: the header is invalid: {reason}",
    "catalogue_damaged": "the catalogue of weights {path} is damaged ({reason}): install SSDiff again",
    "weights_changed": (
        "{path} has the id {name!r} but differs from the published file: it is damaged, or was changed and needs a "
        "new id"
    ),
    "weights_others": "there are other weights {name!r} in {folder}: remove them before importing this file",
    "weights_truncated": "{path} is not a whole safetensors file",
    "cannot_copy": "{path} cannot be copied to {target}: {reason}",
    "download_other_part": "{host} sends another part of the file than was requested",
    "offline_download": "network access is turned off (offline mode or SSDIFF_OFFLINE=1)",
    "download_room": (
        "{folder} has {free} of free disk space, but {needed} are needed: free some space, or set another folder "
        "with SSDIFF_CACHE"
    ),
    "download_differs": "the file from {host} differs from the published file in size or SHA-256",
    "download_closed": "{host} closed the connection after {received} of {size} bytes",
    "download_size": "{host} has a file of {length} bytes instead of the expected {expected}",
    "redirects_many": "{host} redirects more than {count} times; check the URL",
    "redirects_to_http": "{host} redirects from https to http, which is not followed; use another URL",
    "not_http": "{url} is not an http or https URL",
    "no_pysocks": "a SOCKS proxy needs the Python package PySocks (Debian: python3-socks)",
    "tls_failed": "the TLS certificate of {host} cannot be verified: {reason}",
    "proxy_failed": "the proxy does not connect to {host}: {reason}",
    "host_unreachable": "{host} cannot be reached or closed the connection: {reason}",
    "not_http_answer": "{host} does not answer as HTTP defines: {reason}",
    "url_invalid": "{url} is not a URL to download from: correct it",
    "no_requests": "downloads need the Python package requests, which is not installed (Debian: python3-requests)",
    "host_silent": "{host} does not respond",
    "weights_name": (
        "{name!r} cannot be the name of weights: an id may contain only letters, digits and . _ + -, at most 80, "
        "and not be auto, all or a device of Windows"
    ),
    "weights_name_taken": "there are weights {name!r} already: choose another name",
    "weights_not_own": "weights {name} are not your own: they are neither renamed nor deleted",
    "worker_protocol": (
        "{python} runs SSDiff {version} with protocol {protocol}, but protocol {needed} is needed: restart the "
        "program after an update of SSDiff"
    ),
    "worker_foreign": "{python} printed a line that is no message of SSDiff ({line!r}): choose another Python",
    "shared_memory": "{size_mb:.0f} MB of shared memory for a block cannot be reserved ({reason}): allow less memory",
    "not_weights_name": "{name} is not a name for weights: give an id, or a file ending in {suffix}",
    "weights_id": (
        "{name!r} is not a valid id of weights: an id may contain only letters, digits and . _ + -, at most 80, "
        "and not be auto, all or a device of Windows"
    ),
    "weights_id_published": "the id {name!r} belongs to published weights: choose another id",
    "scenes_differ": (
        "{first} differs in kind from {second} ({sensor}, {bands} bands, ratio {ratio:.3g}; {other_sensor}, "
        "{other_bands} bands, ratio {other_ratio:.3g}): adapt weights to each sensor separately"
    ),
    "reference_bands": (
        "the reference {reference} has {count} bands and {fused} {bands}: choose a reference with the same bands"
    ),
    "no_overlap_of_images": "the images, MS and the reference do not overlap",
    "overlap_small": "the overlap of {width} x {height} PAN pixels is smaller than one MS pixel",
    "not_fused": "{path} is not a fused image: it shows the {shows}",
    "fused_bands": "{path} has {count} bands and MS {bands}: give the MS bands that it was made of with --bands",
    "same_output": "image and uncertainty cannot share the file {path}: choose another file for one of them",
    "not_geotiff": "the output is a GeoTIFF, and the name {path} means another format: use the ending .tif",
    "samples_few": "an uncertainty needs at least 2 samples, not 1: raise --samples or leave it out",
    "path_is_folder": "{path} is a folder: give a file in it",
    "path_is_special": "{path} is {kind}: give a file",
    "is_input": "{path} is one of the inputs{known}: choose another file",
    "not_made_by_ssdiff": "{path} is {kind} that SSDiff has not made: move it away, or choose another output file",
    "blocks_reading": "{path} is {kind} and not a file: remove it, or name another file",
    "not_a_list": "{path} is {kind} and not a list of scenes",
    "nothing_found": (
        "no PAN and MS were found in {place}: ssdiff scenes lists what is there; docs/deliveries.md describes the "
        "layouts"
    ),
    "scene_not_found": (
        "no PAN and MS of {scene} were found in {place}: ssdiff scenes lists what is there; docs/deliveries.md "
        "describes the layouts"
    ),
    "delivery_incomplete": "the delivery {name} cannot be fused: {doubts}",
    "not_a_weights_file": "{path} is {kind} and not a weights file",
    "weights_invalid": "weights {name!r} {reason}",
    "download_failed": "{reasons}",
    "download_without_url": "the catalogue lists no URL for this file",
    "http_status": "{host} responds with status {status} ({reason})",
    "no_installer": "{path} has no pip: {remedy}, or select a Python with torch in SSDIFF_PYTHON or in the options",
    "no_python_for_installer": (
        "no Python was found that can create an environment: {remedy}, or select a Python with torch in "
        "SSDIFF_PYTHON or in the options"
    ),
    "install_uv": "install uv (docs.astral.sh/uv)",
    "install_uv_flatpak": "put the program uv into ~/.local/bin, since this Flatpak has no pip",
    "install_venv": "install it with `sudo apt install python{version}-venv`",
    "worker_silent": "the computing process gave no sign of life for {seconds:g} seconds and was ended: try again",
    "worker_not_started": "{python} has not started SSDiff within {seconds:g} seconds: choose another Python",
    "python_ended": "{python} cannot run SSDiff: it ended with code {code}",
    "source_unnamed": "{path} does not name the {role} it was made of: give it with --{option}",
    "source_unreadable": "the {role} that {path} was made of cannot be opened ({source}): give it with --{option}",
    "adapt_seconds": "--adapt must be auto, none or seconds from {minimum:g} to {maximum:g}, not {value!r}",
    "out_of_memory": "this run needs more memory than is free: lower --memory",
    "files_out_of_memory": "{files} needs more memory than is free: lower --memory",
    "out_of_memory_limited": (
        "this run needs more memory than the limit of the address space (ulimit -v) allows: raise it, or lower --memory"
    ),
    "files_out_of_memory_limited": (
        "{files} needs more memory than the limit of the address space (ulimit -v) allows: raise it, or lower --memory"
    ),
    "package_missing": "a Python package cannot be imported: {reason}",
    "gdal_reports": "GDAL reports: {reason}",
    "bug": (
        "SSDiff has failed ({reason}, in {place}). This is a bug of SSDiff: please report it at {tracker}, with "
        "the traceback that {variable}=1 shows"
    ),
    "bug_with_files": (
        "SSDiff has failed with {files} ({reason}, in {place}). This is a bug of SSDiff: please report it at "
        "{tracker}, with the traceback that {variable}=1 shows"
    ),
    "weights_file_invalid": "{path}: {reason}",
    "header_tile": "{path}: the header has tile {tile}, but its network has {expected}",
    "layout_unknown": "{path} was created by GDAL {version} with a layout that cannot be written to",
    "mask_invalid": "the mask is not a valid WKT geometry: {wkt}",
    "wheels_device": "device must be one of {known}, not {device!r}",
    "worker_notice": "the computing process sends a notice that is none ({kind}): restart the program",
    "uncertainty_needs_network": "--uncertainty needs --method {network}; {method} is deterministic",
    "unknown_method": "unknown method {method!r}; the methods are {known}",
    "unknown_mode": "unknown mode {mode!r}; the modes are {known}",
    "device_out_of_memory": "out of memory: lower --memory, or choose another device or fewer bands",
    "install_disk_full": "the disk is full: free disk space, or choose another cache folder",
    "install_long_path": "file paths are too long for Windows: choose a shorter cache folder",
    "install_windows_library": "a Windows library is missing: install the Visual C++ Redistributable of Microsoft",
    "install_proxy_login": "the proxy requires a password: enter it in the network options of QGIS",
    "install_certificate": (
        "the server has a certificate that is not trusted: set SSL_CERT_FILE to a file with the CA certificates"
    ),
    "install_proxy": "the proxy cannot be reached: check the network options of QGIS",
    "install_unreachable": (
        "{host} cannot be reached: check the network options of QGIS, name a mirror (SSDIFF_TORCH_INDEX for "
        "PyTorch's index, PIP_INDEX_URL for PyPI), or install from a folder of wheels"
    ),
    "install_no_network": (
        "the network cannot be reached: check the network options of QGIS, name a mirror (SSDIFF_TORCH_INDEX for "
        "PyTorch's index, PIP_INDEX_URL for PyPI), or install from a folder of wheels"
    ),
    "install_no_wheel": "there is no wheel of {package} for this Python and system in the wheels folder or index",
    "install_other_file": (
        "the file of {package} differs from the published one (SHA-256): a mirror or a proxy has changed it. Use PyPI "
        "and PyTorch's own index, or install from a folder of wheels that you trust"
    ),
    "install_unlocked": (
        "{package} needs the package {needed}, which this SSDiff does not know and does not install: update SSDiff, or "
        "install from a folder of wheels"
    ),
    "install_not_locked": (
        "resources/runtime_lock.json does not list {name}: install from a folder of wheels, or update SSDiff"
    ),
    "install_unwritable": "a file cannot be written: a virus scanner has it open, or the folder is read-only",
    "install_silent": "it printed nothing",
    "install_host": "{host} cannot be reached",
    "cuda_mac": "Macs have no CUDA",
    "cuda_no_gpu": "no NVIDIA GPU was found",
    "cuda_no_build": "PyTorch {torch} has no CUDA build for {platform}",
    "cuda_no_kernels": "PyTorch {torch} has no kernels for {gpu} (compute capability {capability})",
    "cuda_gpu": "{gpu}, driver {driver}",
    "cuda_old_driver": ("the NVIDIA driver {driver} is too old, {oldest} or newer is needed: update it and try again"),
    "cuda_not_wanted": "device cpu is selected",
    "cuda_not_working": "{build} was installed, but CUDA does not work: {reason}",
    "a_file": "a file",
    "a_folder": "a folder",
    "a_link": "a link",
    "a_pipe": "a pipe",
    "a_socket": "a socket",
    "a_device": "a device",
    "worker_unresponsive": "does not answer any more",
    "worker_crashed": "has crashed ({reason})",
    "worker_exited": "has ended (code {code})",
    "worker_without_output": "no output",
}
"the English text of each kind of error, with the values as fields of a format string"
