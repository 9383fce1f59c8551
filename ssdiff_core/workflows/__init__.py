"""What users do with files: pansharpen, adapt, assess. GDAL and numpy; a backend computes (see docs/architecture.md)."""
