"""Mills' ratio of the normal distribution: (t + d) times it, as a polynomial for all t >= 0.

    Phi_N(-t) = phi(t) P(v) / (t + d),    v = (t - c) / (t + c),   c = CENTRE, d = SHIFT,

P interpolated at Chebyshev points in v. Here and not beside the activation that needs it, so that
what scores without JAX has the same numbers.
"""

LOG_SQRT_2_PI = 0.9189385332046727
MILLS_CENTRE, MILLS_SHIFT = 4.0, 2.0
MILLS = (
    1.419914297481362,
    -0.6695234172879255,
    0.346864438446129,
    -0.10805333352775894,
    -0.0033414190339129063,
    0.023672602345887816,
    -0.011266833865795097,
    0.0008853187905073776,
    0.0012726448562211546,
    -0.0003508955323251852,
    -0.00014839268224574776,
    6.489209654536933e-05,
    2.3335273994424814e-05,
    -1.0719086636637817e-05,
    -4.8261274955036015e-06,
    1.5843313429366935e-06,
    1.0692386021748436e-06,
    -1.8063314772013145e-07,
    -1.9660102311327547e-07,
    1.1188011086948765e-08,
    2.03296611152497e-08,
)
