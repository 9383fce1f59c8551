"""Algorithm that reports interpreter, devices and settings of SSDiff."""

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
    """Reports what SSDiff runs with, as text for the log and for issues, and as outputs for models.

    Problems are part of the report; the algorithm itself does not fail.
    """

    ID, LABEL = "diagnostics", "Diagnostics"
    ABOUT = (
        "Reports the Python interpreter that SSDiff uses and why, its packages and devices, the environments of "
        "Install runtime, folders, settings and the last output of the worker process. A device counts as working "
        "only after it has run a kernel. The report can be pasted into an issue: it contains no passwords, and the "
        "home folder is replaced by ~."
    )
    TAGS = ("gpu", "torch", "cuda", "ssdiff")
    PAGE = "install.md"
    READY, REPORT, DEVICES = "READY", "REPORT", "DEVICES"

    def initAlgorithm(self, configuration=None):
        self.addOutput(QgsProcessingOutputBoolean(self.READY, tr("PyTorch and a device work")))
        self.add_json_file(self.REPORT, tr("Report"))
        self.addOutput(QgsProcessingOutputString(self.DEVICES, tr("Working devices")))

    def work(self, parameters, context, feedback):
        def tick() -> None:
            if feedback.isCanceled():
                raise Cancelled("cancelled")

        report = collected(tick)
        for line in as_markdown(report).splitlines():
            feedback.pushInfo(line)
        if report["problem"]:
            feedback.pushWarning(report["problem"])
        return {
            self.READY: report["ready"],
            self.DEVICES: ", ".join(report["working"]),
            **self.write_json(parameters, self.REPORT, context, json.loads(without_home(json.dumps(report)))),
        }


def collected(tick=lambda: None) -> dict:
    """Returns the report as a JSON-able dictionary.

    tick: called during the tests of the interpreter; may raise Cancelled.
    """
    python, reason, checked, problem = None, None, None, None
    try:
        chosen = runtime.interpreter()
        python, reason = chosen.python, chosen.reason
        checked = doctor.check(python, tick=tick)
        problem = problem_of(checked)
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
            "interpreters": find_python.of_program(find_python.Host()),
            "lacking": runtime.missing_packages(),
        },
        "python": python,
        "why": reason,
        "problem": problem,
        "ready": problem is None,
        "working": doctor.working(checked["devices"]) if checked else [],
        "computes": checked,
        "gpus": [f"{gpu.name}, driver {gpu.driver}, {gpu.capability}" for gpu in wheels.gpus()],
        "environments": [described(each) for each in managed.environments()],
        "cache": {str(folder): managed.size_of(folder) for folder in (paths.runtime(), paths.weights())},
        "settings": {name: setting(name) for name in SETTINGS},
        "runs": runtime.runs(),
        "last_words": http.hidden(runtime.worker_log()),
    }


def problem_of(checked: dict) -> str | None:
    """Returns why an interpreter cannot be used, or None if it can."""
    missing = [name for name in doctor.NEEDED if checked["packages"][name] is None]
    if missing:
        reason = checked["devices"]["cpu"]["reason"]
        return f"{checked['executable']} cannot import {', '.join(missing)}" + (f": {reason}" if reason else "")
    return None if doctor.working(checked["devices"]) else f"no device works with {checked['executable']}"


def described(environment: managed.Environment) -> dict:
    """Returns an environment of Install runtime as a JSON-able dictionary."""
    note = environment.note
    return {
        "folder": str(environment.folder),
        "state": environment.state,
        "meaning": managed.MEANING[environment.state],
        "holds": note and managed.summary(note),
        "log": f"{environment.folder}.log",
    }


def setting(name: str) -> str:
    """Returns the value of a setting, without the password of a URL, or the error message if the value is invalid."""
    try:
        value = str(getattr(settings, name)())
    except SSDiffError as error:
        return str(error)
    return http.without_secrets(value) if "://" in value else value


def as_markdown(report: dict) -> str:
    """Returns the report as Markdown text."""
    own = report["qgis_python"]
    lines = [
        "### SSDiff diagnostics",
        f"- SSDiff {report['ssdiff']}, QGIS {report['qgis']}, {report['system']}",
        f"- QGIS's own Python {own['version']}: {', '.join(own['interpreters']) or 'no interpreter found'}; "
        + (f"missing packages: {', '.join(own['lacking'])}" if own["lacking"] else "has all packages"),
        f"- **Interpreter in use:** {report['python'] or 'none'}" + (f" ({report['why']})" if report["why"] else ""),
        f"- **{'Ready' if report['ready'] else 'Not ready'}**"
        + (f": {report['problem']}" if report["problem"] else ""),
        *(["", "```", *doctor.as_text(report["computes"]).splitlines(), "```"] if report["computes"] else []),
        "",
        "#### NVIDIA",
        *([f"- {gpu}" for gpu in report["gpus"]] or ["- no GPU found"]),
        "",
        "#### Environments of Install runtime",
        *(
            [f"- {each['folder']}: {each['meaning']}" + _contents(each) for each in report["environments"]]
            or ["- none"]
        ),
        "",
        "#### Folders and settings",
        *[f"- {folder}: {size / 1e6:,.0f} MB" for folder, size in report["cache"].items()],
        *[f"- {name}: {value or '(not set)'}" for name, value in report["settings"].items()],
        *(["", "#### Runs that compute now", *[f"- {run}" for run in report["runs"]]] * bool(report["runs"])),
        *(["", "#### Last output of the worker process", "```", *report["last_words"].splitlines()[-20:], "```"])
        * bool(report["last_words"]),
    ]
    return without_home("\n".join(lines))


def _contents(environment: dict) -> str:
    return f" ({environment['holds']})" if environment["holds"] else ""


def without_home(text: str) -> str:
    """Replaces the path of the home folder by ~."""
    home = str(Path.home())
    return text if len(home) < 4 else text.replace(json.dumps(home)[1:-1], "~").replace(home, "~")
