"""Settings of SSDiff in the options of Processing, each named after the environment variable that overrides it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from ...ssdiff_core.common import paths
from ...ssdiff_core.common.errors import ConfigError
from ...ssdiff_core.domain.block_passes import MEMORY, MINIMUM_MEMORY
from ...ssdiff_core.weights.http import is_yes
from .i18n import tr

GROUP = "SSDiff"
SETTINGS_KEY = "Processing/Configuration/{}"
"key under which Processing stores an option; it can be read without Processing"
PYTHON, CACHE, DEVICE = "SSDIFF_PYTHON", "SSDIFF_CACHE", "SSDIFF_DEVICE"
MEMORY_MB, OFFLINE = "SSDIFF_MEMORY", "SSDIFF_OFFLINE"
WEIGHTS_URL, AUTHENTICATION = "SSDIFF_WEIGHTS_URL", "SSDIFF_AUTHCFG"


def python() -> str:
    """Returns the configured Python interpreter, or an empty string."""
    return os.path.expanduser(_value(PYTHON))


def cache() -> Path:
    """Returns the folder for weights and runtime, and makes the core use it."""
    paths.use_cache(_stored(CACHE))
    return paths.cache()


def device() -> str:
    """Returns the default device. Raises ConfigError if the setting is invalid."""
    return _checked(DEVICE, _value(DEVICE) or "auto", check_device)


def memory() -> int:
    """Returns the memory limit of a run in MB. Raises ConfigError if the setting is invalid."""
    return int(_checked(MEMORY_MB, _value(MEMORY_MB) or str(MEMORY), check_memory))


def offline() -> bool:
    """Returns whether network access is disabled."""
    return is_yes(_value(OFFLINE))


def weights_url() -> str:
    """Returns the address to download weights from instead of those of the catalogue, or an empty string."""
    return _value(WEIGHTS_URL).strip()


def authentication() -> str:
    """Returns the ID of the QGIS authentication configuration for weights, set by ID or name; or an empty string."""
    value = _value(AUTHENTICATION).strip()
    return next((id for id, name in _authentications().items() if value == name), value)


def origin_of(name: str) -> str:
    """Returns where the value of a setting comes from, as a phrase for the user."""
    if os.environ.get(name):
        return tr("the environment variable {}").format(name)
    return tr("the Processing options") if _stored(name) else tr("the default")


def _value(name: str) -> str:
    return os.environ.get(name) or _stored(name)


def _stored(name: str) -> str:
    value = QgsSettings().value(SETTINGS_KEY.format(name))
    return "" if value is None else str(value).strip()


def _checked(name: str, value: str, check) -> str:
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"{error} ({origin_of(name)})") from None
    return value


def check_device(value: str) -> None:
    if not re.fullmatch(r"(auto|cpu|mps|cuda(:\d+)?)?", value):
        raise ValueError(tr("The device must be auto, cpu, cuda, cuda:N or mps, not {!r}").format(value))


def check_memory(value: str) -> None:
    if not str(value).isdigit() or int(value) < MINIMUM_MEMORY:
        raise ValueError(tr("The memory must be at least {} MB, not {!r}").format(MINIMUM_MEMORY, value))


def check_authentication(value: str) -> None:
    value, known = str(value).strip(), _authentications()
    if value and value not in (*known, *known.values()):
        raise ValueError(
            tr("QGIS has no authentication configuration {!r} (Settings > Options > Authentication)").format(value)
        )


def _authentications() -> dict[str, str]:
    """Returns the name of each authentication configuration by its ID; this needs no master password."""
    return {id: config.name() for id, config in QgsApplication.authManager().availableAuthMethodConfigs().items()}


# --- options dialog of Processing ------------------------------------------------------------------------------------


def register() -> None:
    """Adds the settings to the options dialog of Processing, if the plugin Processing is loaded."""
    config = _processing()
    if config:
        for option in _options(config.Setting):
            config.ProcessingConfig.addSetting(option)
        config.ProcessingConfig.readSettings()


def unregister() -> None:
    """Removes the settings from the options dialog of Processing."""
    config = _processing()
    for name in (PYTHON, CACHE, DEVICE, MEMORY_MB, OFFLINE, WEIGHTS_URL, AUTHENTICATION) if config else ():
        config.ProcessingConfig.settings.pop(name, None)


def _processing():
    try:
        from processing.core import ProcessingConfig
    except ImportError:
        return None
    return ProcessingConfig


def _options(setting) -> list:
    default = tr("interpreter installed by Install runtime")
    return [
        setting(GROUP, PYTHON, tr("Python interpreter with PyTorch"), "", valuetype=setting.FILE, placeholder=default),
        setting(GROUP, CACHE, tr("Weights and runtime folder"), "", valuetype=setting.FOLDER),
        setting(GROUP, DEVICE, tr("Device"), "auto", valuetype=setting.STRING, validator=check_device),
        setting(GROUP, MEMORY_MB, tr("Memory (MB)"), MEMORY, valuetype=setting.INT, validator=check_memory),
        setting(GROUP, OFFLINE, tr("Offline mode (no network access)"), False),
        setting(GROUP, WEIGHTS_URL, tr("URL of the weights"), "", valuetype=setting.STRING),
        setting(
            *(GROUP, AUTHENTICATION, tr("Authentication for the URL of the weights"), ""),
            valuetype=setting.STRING,
            validator=check_authentication,
            placeholder=tr("name or ID of a QGIS authentication configuration"),
        ),
    ]
