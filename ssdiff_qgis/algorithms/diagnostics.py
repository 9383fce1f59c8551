from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
)

from ...ssdiff_core import __version__
from ...ssdiff_core.common import paths
from ...ssdiff_core.common.errors import Cancelled, SSDiffError
from ...ssdiff_core.runtime import doctor, find_python, wheels
from ...ssdiff_core.runtime import environment as managed
from ...ssdiff_core.weights import http
from ..services import runtime, settings
from ..services.i18n import tr
from .base import Algorithm

SETTINGS = ("python", "cache", "device", "memory", "offline", "weights_url", "authentication")


class Diagnostics(Algorithm):
    """What there is to compute with: a report for the log and for an issue, and outputs for models. It never fails."""

    ID, LABEL = "diagnostics", "Diagnostics"
    ABOUT = (
        "Shows which Python SSDiff computes with and why, its packages and devices, what Install runtime has made, "
        "folders, options and the last words of what computed. A device is believed only after it has run a "
        "kernel. The report can be pasted into an issue: it holds no passwords, and ~ for your home."
    )
    TAGS = ("gpu", "torch", "cuda", "ssdiff")
    PAGE = "install.md"
    READY, REPORT, DEVICES = "READY", "REPORT", "DEVICES"

    def initAlgorithm(self, configuration=None):
        self.addOutput(QgsProcessingOutputBoolean(self.READY, tr("PyTorch is there and a device computes")))
        self.addOutput(QgsProcessingOutputString(self.REPORT, tr("Report (JSON)")))
        self.addOutput(QgsProcessingOutputString(self.DEVICES, tr("Devices that compute")))

    def work(self, parameters, context, feedback):
        def tick() -> None:
            if feedback.isCanceled():
                raise Cancelled("cancelled")

        report = gathered(tick)
        for line in as_markdown(report).splitlines():
            feedback.pushInfo(line)
        if report["problem"]:
            feedback.pushWarning(report["problem"])
        return {
            self.READY: report["ready"],
            self.REPORT: without_home(json.dumps(report)),
            self.DEVICES: ", ".join(report["working"]),
        }


def gathered(tick=lambda: None) -> dict:
    """All that may explain why something does not compute; also where nothing is there."""
    python, why, computes, problem = None, None, None, None
    try:
        chosen = runtime.interpreter()
        python, why = chosen.python, chosen.why
        computes = doctor.ask(python, tick=tick)
        problem = lacks(computes)
    except Cancelled:
        raise
    except SSDiffError as error:
        problem = str(error)
    return {
        "ssdiff": __version__,
        "qgis": Qgis.QGIS_VERSION,
        "system": platform.platform(),
        "qgis_python": {
            "version": platform.python_version(),
            "program": sys.executable,
            "interpreters": find_python.own(find_python.Host()),
            "lacking": runtime.lacking(),
        },
        "python": python,
        "why": why,
        "problem": problem,
        "ready": problem is None,
        "working": doctor.working(computes["devices"]) if computes else [],
        "computes": computes,
        "gpus": [f"{gpu.name}, driver {gpu.driver}, {gpu.capability}" for gpu in wheels.gpus()],
        "environments": [told(each) for each in managed.environments()],
        "cache": {str(folder): managed.size_of(folder) for folder in (paths.runtime(), paths.weights())},
        "settings": {name: setting(name) for name in SETTINGS},
        "last_words": runtime.last_words(),
    }


def lacks(computes: dict) -> str | None:
    """Why an interpreter cannot compute, if so."""
    missing = [name for name in doctor.NEEDED if computes["packages"][name] is None]
    if missing:
        reason = computes["devices"]["cpu"]["reason"]
        return f"{computes['executable']} cannot import {', '.join(missing)}" + (f": {reason}" if reason else "")
    return None if doctor.working(computes["devices"]) else f"no device computes with {computes['executable']}"


def told(environment: managed.Environment) -> dict:
    note = environment.note
    return {
        "folder": str(environment.folder),
        "state": environment.state,
        "meaning": managed.MEANING[environment.state],
        "holds": note and managed.summary(note),
        "log": f"{environment.folder}.log",
    }


def setting(name: str) -> str:
    """A value, or what is wrong with it; of an address no password."""
    try:
        value = str(getattr(settings, name)())
    except SSDiffError as error:
        return str(error)
    return http.shown(value) if "://" in value else value


def as_markdown(report: dict) -> str:
    """The report, to be read."""
    own = report["qgis_python"]
    lines = [
        "### SSDiff diagnostics",
        f"- SSDiff {report['ssdiff']}, QGIS {report['qgis']}, {report['system']}",
        f"- QGIS's own Python {own['version']}: {', '.join(own['interpreters']) or 'no interpreter found'}; "
        + (f"lacks {', '.join(own['lacking'])}" if own["lacking"] else "has all that is needed"),
        f"- **Computes with** {report['python'] or 'nothing'}" + (f" ({report['why']})" if report["why"] else ""),
        f"- **{'Ready' if report['ready'] else 'Not ready'}**"
        + (f": {report['problem']}" if report["problem"] else ""),
        *(["", "```", *doctor.as_text(report["computes"]).splitlines(), "```"] if report["computes"] else []),
        "",
        "#### NVIDIA",
        *([f"- {gpu}" for gpu in report["gpus"]] or ["- no GPU answers"]),
        "",
        "#### Made by Install runtime",
        *(
            [f"- {each['folder']}: {each['meaning']}" + _holds(each) for each in report["environments"]]
            or ["- nothing"]
        ),
        "",
        "#### Folders and options",
        *[f"- {folder}: {size / 1e6:,.0f} MB" for folder, size in report["cache"].items()],
        *[f"- {name}: {value or '(not set)'}" for name, value in report["settings"].items()],
        *(["", "#### Last words of what computed", "```", *report["last_words"].splitlines()[-20:], "```"])
        * bool(report["last_words"]),
    ]
    return without_home("\n".join(lines))


def _holds(environment: dict) -> str:
    return f" ({environment['holds']})" if environment["holds"] else ""


def without_home(text: str) -> str:
    home = str(Path.home())
    return text if len(home) < 4 else text.replace(json.dumps(home)[1:-1], "~").replace(home, "~")
