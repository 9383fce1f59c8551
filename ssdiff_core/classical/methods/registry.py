"""All classical methods by their ids."""

from __future__ import annotations

from ...common.errors import ConfigError
from ...domain.methods import CLASSICAL
from .brovey import BROVEY, BT_H
from .component_substitution import BDSD_PC, GSA
from .interpolation import EXP
from .method import Method
from .mtf_glp import MTF_GLP_FS, MTF_GLP_HPM

METHODS = {method.id: method for method in (EXP, BROVEY, GSA, BT_H, BDSD_PC, MTF_GLP_FS, MTF_GLP_HPM)}


def get(name: str) -> Method:
    """Returns the method with this id."""
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}; the classical methods are {', '.join(CLASSICAL)}")
    return METHODS[name]
