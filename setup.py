"""Lists the packages of the wheel; everything else is in pyproject.toml, which cannot add a package to found ones."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["ssdiff_core*"]), "ssdiff_core.resources"])
