"""Jobs on files: pansharpen, adapt, assess. They use GDAL and numpy only; a backend does the computation."""
