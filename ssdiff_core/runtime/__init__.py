"""The Python that computes for QGIS: found on this computer, or installed by the plugin.

`find_python` looks where each system keeps interpreters and asks each one, isolated, what it is. `wheels` chooses the
build of PyTorch from `resources/runtime.json` and what the NVIDIA driver reports. `environment.install` makes an
environment in a folder beside the final one and moves it there after `doctor` has run a kernel in it; the previous one
is used until then.

- Two QGIS install at once: one lock of the system: the second waits, then finds the environment.
- QGIS or the installer is killed: a guard process kills everything that was started; the next run starts over with the
  downloaded files.
- Cancelled: killed at once, and removed.
- Uv fails: pip does it.
- CUDA does not compute: the CPU build is installed, with the reason, and CUDA is not tried again until something
  changes.
- Pinned versions have changed: the environment is still used; the next installation replaces it.
- The Python it was made with is gone: the environment is not used, and is replaced.

Indexes, proxies and passwords are passed in the environment of the installer.
"""
