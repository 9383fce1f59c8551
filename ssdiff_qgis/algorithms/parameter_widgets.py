"""Widgets of parameters in dialogs. Processing imports them by name when a dialog needs them."""

from __future__ import annotations

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper, WidgetWrapperFactory, dialogTypes

from ..panel.widgets import WeightsBox


class Weights:
    """Widget of a weights parameter.

    In the modeler, QGIS's own widget is used, because there the value may also be an input or the output of a step.
    """

    def __new__(cls, parameter, dialog, row=0, col=0):
        if dialogTypes.get(type(dialog).__name__) != DIALOG_MODELER:
            return _Weights(parameter, dialog, row, col)
        plain = parameter.clone()
        plain.setMetadata({})
        wrapper = WidgetWrapperFactory.create_wrapper(plain, dialog, row, col)
        wrapper.parameter = plain  # kept alive here, because the wrapper does not own it
        return wrapper


class _Weights(WidgetWrapper):
    def createWidget(self):
        box = WeightsBox()
        box.changed.connect(lambda: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value):
        self.widget.select(str(value or ""))

    def value(self):
        return self.widget.value
