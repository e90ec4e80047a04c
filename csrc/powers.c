/* powers.c: powers and a sine in sums and products alone. A C library rounds pow and cos as it likes; these give the
 * same bits with every one. What is left to it (floor, frexp, ldexp, sqrt) is exact or correctly rounded everywhere. */
#include "training.h"

#include <math.h>

/* By squaring: off by n ulp at most, and 1 - x^n by less than 2^-53 / (1 - x) of itself. */
double mlp_whole_power(double x, uint64_t n) {
    double power = 1.0;
    for (; n > 0; n /= 2) {
        const double factors[] = {1.0, x}; /* no branch: the bits of n are hard to predict */
        power *= factors[n % 2];
        x *= x;
    }
    return power;
}

/* log(x) for a positive normal x: with x = m 2^e, m from sqrt(1/2) to sqrt(2), and s = (m - 1) / (m + 1),
 * e log(2) + 2 (s + s^3 / 3 + s^5 / 5 + ...). */
static double logarithm(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int k = 21; k >= 1; k -= 2) {
        sum = sum * s2 + 1.0 / k;
    }
    return e * 0x1.62e42fefa39efp-1 + 2.0 * s * sum;
}

/* exp(x) for |x| < 700: its series in r = x - n log(2), |r| <= log(2) / 2, times 2^n. */
static double exponential(double x) {
    double n = floor(x * 1.4426950408889634 + 0.5), r = (x - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45;
    double sum = 1.0;
    for (int k = 14; k >= 1; k--) {
        sum = 1.0 + sum * r / k;
    }
    return ldexp(sum, (int)n);
}

double mlp_power(double x, double p) {
    double y = p * logarithm(x);
    return y < -700.0 ? 0.0 : exponential(fmin(y, 700.0));
}

/* sin(pi t)^2 for 0 <= t <= 1/4, from the sine's series. */
static double sine_squared(double t) {
    double x = 3.14159265358979323846 * t, x2 = x * x, sum = 1.0;
    for (int k = 16; k >= 2; k -= 2) {
        sum = 1.0 - sum * x2 / (k * (k + 1));
    }
    return x * sum * (x * sum);
}

double mlp_half_cosine(double t) { /* 1/2 + cos(pi t) / 2 = cos(pi t / 2)^2 = sin(pi (1 - t) / 2)^2 */
    return t < 0.5 ? 1.0 - sine_squared(0.5 * t) : sine_squared(0.5 * (1.0 - t));
}
