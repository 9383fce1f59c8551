"""The SSDiff panel: choosing layers, preview and comparison."""
