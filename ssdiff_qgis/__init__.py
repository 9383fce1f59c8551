"""The QGIS side: Processing provider and algorithms. No pixel is computed here."""
