"""The Python interpreter of the computing process: found on this computer, or installed by the plugin.

`find_python` searches the folders where each system keeps interpreters, and runs each one, isolated, to learn its
version. `wheels` chooses the build of PyTorch from `resources/runtime.json` and the report of the NVIDIA driver.
`environment.install` creates an environment in a temporary folder and moves it to its final place after `doctor` has
run a kernel in it; the previous environment is used until then.

- Two QGIS install at once: a file lock makes the second wait; then it finds the environment complete.
- QGIS or the installer is killed: a guard process kills everything that was started; the next run starts over with the
  downloaded files.
- Cancelled: everything is killed at once and removed.
- uv fails: pip is used.
- CUDA does not work: the CPU build is installed and the reason is reported; only a reinstallation tries CUDA again.
- Pinned versions have changed: the environment is still used; the next installation replaces it.
- The Python it was created with is gone: the environment is not used, and is replaced.

Indexes, proxies and passwords are passed to the installer as environment variables.
"""
