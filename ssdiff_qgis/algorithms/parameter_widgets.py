"""What parameters are shown with in dialogs, of which Processing knows the names and imports them when it must."""

from __future__ import annotations

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper, WidgetWrapperFactory, dialogTypes

from ..panel.widgets import WeightsBox


class Weights:
    """In the modeler a parameter may also be an input or what another step makes: QGIS's own widget offers that."""

    def __new__(cls, parameter, dialog, row=0, col=0):
        if dialogTypes.get(type(dialog).__name__) != DIALOG_MODELER:
            return _Weights(parameter, dialog, row, col)
        plain = parameter.clone()
        plain.setMetadata({})
        made = WidgetWrapperFactory.create_wrapper(plain, dialog, row, col)
        made.parameter = plain  # which it does not own
        return made


class _Weights(WidgetWrapper):
    def createWidget(self):
        box = WeightsBox()
        box.changed.connect(lambda: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value):
        self.widget.select(str(value or ""))

    def value(self):
        return self.widget.value
