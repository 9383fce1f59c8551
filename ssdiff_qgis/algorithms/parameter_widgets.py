"""Widgets of parameters in dialogs. Processing imports them by name when a dialog needs them."""

from __future__ import annotations

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper, WidgetWrapperFactory, dialogTypes

from ..panel.widgets import WeightsBox
from ..services.delivery_box import DeliveryBox
from ..services.sensor_box import SensorBox


def _except_in_modeler(parameter, dialog, row: int, col: int, wrapper: type):
    """Returns a wrapper of this type; in the modeler QGIS's own.

    There the value may also be an input or the output of a step.
    """
    if dialogTypes.get(type(dialog).__name__) != DIALOG_MODELER:
        return wrapper(parameter, dialog, row, col)
    plain = parameter.clone()
    plain.setMetadata({})
    own = WidgetWrapperFactory.create_wrapper(plain, dialog, row, col)
    own.parameter = plain  # kept alive here, because the wrapper does not own it
    return own


class Weights:
    """Widget of a weights parameter."""

    def __new__(cls, parameter, dialog, row=0, col=0):
        return _except_in_modeler(parameter, dialog, row, col, _Weights)


class Sensor:
    """Widget of a sensor parameter, which shows names and has ids as values."""

    def __new__(cls, parameter, dialog, row=0, col=0):
        return _except_in_modeler(parameter, dialog, row, col, _Sensor)


class Delivery:
    """Widget of a delivery parameter, which selects files and folders."""

    def __new__(cls, parameter, dialog, row=0, col=0):
        return _except_in_modeler(parameter, dialog, row, col, _Delivery)


class _Box(WidgetWrapper):
    """Wrapper of a widget with the methods of WeightsBox."""

    BOX: type

    def createWidget(self):
        box = self.BOX()
        box.changed.connect(lambda: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value):
        self.widget.select(str(value or ""))

    def value(self):
        return self.widget.value


class _Weights(_Box):
    BOX = WeightsBox


class _Sensor(_Box):
    BOX = SensorBox


class _Delivery(_Box):
    BOX = DeliveryBox
