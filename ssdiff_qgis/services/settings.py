"""The options of SSDiff in Processing. Each bears the name of the environment variable that wins over it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from ...ssdiff_core.common import paths
from ...ssdiff_core.common.errors import ConfigError
from ...ssdiff_core.domain.block_passes import LEAST, MEMORY
from ...ssdiff_core.weights.http import is_yes
from .i18n import tr

GROUP = "SSDiff"
KEPT = "Processing/Configuration/{}"
"where Processing keeps an option, and where it can be read without Processing"
PYTHON, CACHE, DEVICE = "SSDIFF_PYTHON", "SSDIFF_CACHE", "SSDIFF_DEVICE"
BYTES, OFFLINE = "SSDIFF_MEMORY", "SSDIFF_OFFLINE"
WEIGHTS_URL, AUTHENTICATION = "SSDIFF_WEIGHTS_URL", "SSDIFF_AUTHCFG"


def python() -> str:
    """The interpreter that was named, or nothing."""
    return os.path.expanduser(_value(PYTHON))


def cache() -> Path:
    """The folder for weights and the runtime; from here on the one that all of SSDiff takes."""
    paths.use(_kept(CACHE))
    return paths.cache()


def device() -> str:
    return _checked(DEVICE, _value(DEVICE) or "auto", check_device)


def memory() -> int:
    """MB that a run may hold."""
    return int(_checked(BYTES, _value(BYTES) or str(MEMORY), check_memory))


def offline() -> bool:
    """Whether the network is not to be used."""
    return is_yes(_value(OFFLINE))


def weights_url() -> str:
    """Where weights are fetched from, instead of the addresses of the catalogue; or nothing."""
    return _value(WEIGHTS_URL).strip()


def authentication() -> str:
    """The id of an authentication configuration of QGIS for where weights lie, which may be named by it; or nothing."""
    wish = _value(AUTHENTICATION).strip()
    return next((id for id, name in _authentications().items() if wish == name), wish)


def come_from(name: str) -> str:
    """Where a value comes from, in words."""
    if os.environ.get(name):
        return tr("the environment variable {}").format(name)
    return tr("the options of Processing") if _kept(name) else tr("the default")


def _value(name: str) -> str:
    return os.environ.get(name) or _kept(name)


def _kept(name: str) -> str:
    value = QgsSettings().value(KEPT.format(name))
    return "" if value is None else str(value).strip()


def _checked(name: str, value: str, check) -> str:
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"{error} ({come_from(name)})") from None
    return value


def check_device(value: str) -> None:
    if not re.fullmatch(r"(auto|cpu|mps|cuda(:\d+)?)?", value):
        raise ValueError(tr("The device {!r} is none of auto, cpu, cuda, cuda:1 ..., mps").format(value))


def check_memory(value: str) -> None:
    if not str(value).isdigit() or int(value) < LEAST:
        raise ValueError(tr("The memory {!r} is no number of MB from {} on").format(value, LEAST))


def check_authentication(value: str) -> None:
    wish, known = str(value).strip(), _authentications()
    if wish and wish not in (*known, *known.values()):
        raise ValueError(
            tr("QGIS has no authentication configuration {!r} (Settings > Options > Authentication)").format(wish)
        )


def _authentications() -> dict[str, str]:
    """The name of each by its id; no master password is needed to know these."""
    return {id: config.name() for id, config in QgsApplication.authManager().availableAuthMethodConfigs().items()}


# --- in the dialog of Processing -------------------------------------------------------------------------------------


def add() -> None:
    """Shows the options under Providers; without the plugin Processing, as in scripts, they are only read."""
    config = _processing()
    if config:
        for option in _options(config.Setting):
            config.ProcessingConfig.addSetting(option)
        config.ProcessingConfig.readSettings()


def remove() -> None:
    config = _processing()
    for name in (PYTHON, CACHE, DEVICE, BYTES, OFFLINE, WEIGHTS_URL, AUTHENTICATION) if config else ():
        config.ProcessingConfig.settings.pop(name, None)


def _processing():
    try:
        from processing.core import ProcessingConfig
    except ImportError:
        return None
    return ProcessingConfig


def _options(setting) -> list:
    made = tr("the one made by Install runtime")
    return [
        setting(GROUP, PYTHON, tr("Python with PyTorch"), "", valuetype=setting.FILE, placeholder=made),
        setting(GROUP, CACHE, tr("Folder for weights and runtime"), "", valuetype=setting.FOLDER),
        setting(GROUP, DEVICE, tr("Device"), "auto", valuetype=setting.STRING, validator=check_device),
        setting(GROUP, BYTES, tr("Memory (MB)"), MEMORY, valuetype=setting.INT, validator=check_memory),
        setting(GROUP, OFFLINE, tr("Never use the network"), False),
        setting(GROUP, WEIGHTS_URL, tr("Address to fetch weights from"), "", valuetype=setting.STRING),
        setting(
            *(GROUP, AUTHENTICATION, tr("Authentication for that address"), ""),
            valuetype=setting.STRING,
            validator=check_authentication,
            placeholder=tr("name or id of a configuration of QGIS"),
        ),
    ]
