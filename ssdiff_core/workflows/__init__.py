"""What users do with files: pansharpen, adapt, assess. GDAL and numpy only; a backend computes."""
