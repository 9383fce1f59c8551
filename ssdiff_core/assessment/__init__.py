"""Assessment of fused images: measurement, comparison, tables and the HTML report.

A `domain.study.Study` is a scene, fused images of it and possibly a reference. `measure` runs it through the classes
of `metrics` block by block; `baseline` computes classical fusions on the fly, only over the windows that are
measured. `compare` summarises methods over several scenes, paired scene by scene. `report_data` collects maps, crops,
histograms and spectra for `html_report`, which writes one self-contained HTML file.
"""
