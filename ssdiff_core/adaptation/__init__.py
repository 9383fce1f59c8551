"""Adaptation of weights to a user's own scenes.

    split               a strip across each scene is held out; windows that represent all content are chosen from the
                        strip and from the rest (window_selection), without saturated pixels and clouds (quality_mask)
    wald_pair           PAN at the MS samples, MS coarser by the ratio, the original MS: a scene whose truth is known
    scene_source        training tiles from such pairs, rotated, with slightly varied responses and PAN positions
    training.trainer    trains the initial weights on them
    adapt               keeps the best weights, judged by held-out error
    native_check        compares HQNR and D_rho at native resolution before and after

Held out: a window contains its own pixels of PAN and MS and none around them, and a pair is made from one window.
So no pixel influences both training and judgement, except through the dozen statistics of the whole scene that every
fusion uses; those for training come from the training windows. Windows are four samples apart, as far as correcting a
band's shift reaches. Near the border of a window, coarse samples would depend on pixels outside it, so the
outermost samples, as many as the ratio, are neither trained on nor judged.

Shifts: a shift of one PAN pixel is a quarter of a pixel in a pair at ratio 4, so a network that learned it would
correct a quarter of the shifts in real scenes. MS and its bands are therefore aligned first, pairs keep the phase of
the aligned MS, and random offsets of PAN cover the remainder. The card records this, and pansharpening with such
weights aligns the scene too.

Native resolution: what helps at reduced resolution need not help at native resolution. There the truth is unknown, but
the output of the initial weights is known; so half of the training samples, and more of small scenes, are windows at
native resolution with that output as target, or with that of a classical method that is clearly better.

Never worse: the error is the remaining share of the initial ERGAS and SAM; if one of them grew, it alone counts. In
the end mixtures of initial and best weights are judged, and the best mixture is kept whose HQNR and D_rho at native
resolution are not noticeably worse. A gain below one per cent is not written.

Time: a few trial steps measure the speed, and the schedule is made for as many steps as fit into the given minutes.
From then on everything random follows from the seed and the step, so a resumed run ends with the same weights.
"""
