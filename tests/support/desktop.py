"""Runs QGIS with its main window on a virtual screen, with its own profile."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
QGIS = shutil.which("qgis.bin") or shutil.which("qgis")
SETTINGS = "[PythonPlugins]\nprocessing=true\nssdiff=true\n[qgis]\ncheckVersion=false\n"


def missing() -> str:
    """Returns which required programs are missing, as a sentence; empty if there are all."""
    absent = [name for name, found in (("Xvfb", shutil.which("Xvfb")), ("qgis", QGIS)) if not found]
    return f"{' and '.join(absent)} not found: QGIS cannot be run with its main window" if absent else ""


@contextlib.contextmanager
def screen(size: str = "1500x950") -> Iterator[str]:
    """Yields the name of a new display, with a window manager if one is installed."""
    read, write = os.pipe()
    server = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen(server, pass_fds=[write], **quiet)]
    os.close(write)
    try:
        with open(read) as output:
            display = f":{output.readline().strip()}"
        if shutil.which("openbox"):
            running.append(subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": display}, **quiet))
        yield display
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()


def run_inside(script: Path, folder: Path, display: str, timeout: float = 1200, theme: str = "", **environ) -> dict:
    """Runs a script in a new QGIS until both have ended, and returns what it has written to $RESULT (see inside.py)."""
    plugins, profile = folder / "plugins", folder / "profile"
    settings = profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    for created in (plugins, settings.parent):
        created.mkdir(mode=0o700, parents=True)
    (plugins / "ssdiff").symlink_to(ROOT)
    settings.write_text(SETTINGS + (f"[UI]\nUITheme={theme}\n" if theme else ""))
    env = {
        **os.environ,
        "DISPLAY": display,
        "QT_QPA_PLATFORM": "xcb",
        "QGIS_CUSTOM_CONFIG_PATH": profile,
        "QGIS_PLUGINPATH": plugins,
        "XDG_RUNTIME_DIR": profile,
        "SSDIFF_PYTHON": sys.executable,
        "SSDIFF_CACHE": folder / "cache",
        "RESULT": folder / "result.json",
        "PYTHONPATH": Path(__file__).parent,
        **environ,
    }
    profile.chmod(0o700)
    command = [QGIS, "--noversioncheck", "--nologo", "--code", str(script)]
    env = {name: str(value) for name, value in env.items()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    result = folder / "result.json"
    assert result.exists(), f"QGIS ended with {done.returncode}: {done.stdout[-9000:]}{done.stderr[-3000:]}"
    return {**json.loads(result.read_text()), "exit": done.returncode, "log": done.stderr}
