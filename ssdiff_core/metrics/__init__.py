"""Quality measures, for arrays (`arrays`) and for scenes of any size.

    reference     SAM, ERGAS, Q2n, SCC, PSNR and UQI of an image and its reference
    full_scale    D_lambda_K, D_s, HQNR, D_lambda, QNR and D_rho of blocks and the fused image over their windows
    reprojected   R-SAM, R-ERGAS and R-Q2n of the fused image degraded to MS

Each class defines the cores that a scene is divided into and the margin (`reach`) of a block around a core, returns
sums that can be added in any order (`accumulators`), and computes the values from the total. Squares of 32 pixels are
counted from the first pixel measured, and a core is a whole number of squares, so the division of the scene does not
matter. A square, window or MS sample that contains a masked pixel is left out.

A convention (`conventions`) defines the position of MS on PAN and the blur of its sensor: `toolbox` is that of
published figures, `geometric` follows the georeferencing.
"""
