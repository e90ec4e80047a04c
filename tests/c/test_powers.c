/* test_powers.c: the powers and half cosines of powers.c against the C library, and their bits, which no machine and no
 * library may change. */
#include "check.h"
#include "training.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static uint64_t all_bits = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

static bool near(double got, double want, double tolerance) {
    uint64_t bits;
    memcpy(&bits, &got, sizeof bits);
    all_bits = (all_bits ^ bits) * UINT64_C(0x100000001b3);
    return fabs(got - want) <= tolerance;
}

static void check_whole(double x, uint64_t n, double want) {
    double got = mlp_whole_power(x, n);
    CHECK(got == want, "%g to the %" PRIu64 ": %g", x, n, got);
}

static void test_whole_powers(void) {
    check_whole(0.9, 0, 1.0);
    check_whole(0.9, 1, 0.9);
    check_whole(0.5, 1074, 0x1p-1074);
    check_whole(0.5, UINT64_MAX, 0.0);
    check_whole(0.0, 0, 1.0);
    check_whole(0.0, 3, 0.0);
    check_whole(1.0, UINT64_MAX, 1.0);
    check_whole(2.0, 5000, (double)INFINITY);
    const double bases[] = {0.3, 0.9, 0.99, 0.999, 0.9999, 1.01};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        for (uint64_t n = 1; n < 30000; n += 1 + n / 5) {
            double got = mlp_whole_power(bases[i], n), want = pow(bases[i], (double)n);
            CHECK(near(got, want, 0x1p-53 * (double)(n + 1) * want), "%g to the %" PRIu64 ": %.17g", bases[i], n, got);
        }
    }
}

static void test_powers(void) {
    for (double x = 1.0; x < 1e9; x = floor(x * 1.3) + 1.0) {
        for (double p = -4.0; p <= 0.0; p += 0.0625) {
            double got = mlp_power(x, p), want = pow(x, p);
            CHECK(near(got, want, 0x1p-53 * (4.0 + 3.0 * fabs(log(want))) * want), "%g to the %g: %.17g", x, p, got);
        }
    }
    CHECK(mlp_power(1.0, -0.5) == 1.0 && mlp_power(7.0, 0.0) == 1.0, "not exactly 1");
    CHECK(mlp_power(1e9, -40.0) == 0.0, "no underflow");
}

static void test_half_cosine(void) {
    CHECK(mlp_half_cosine(0.0) == 1.0 && mlp_half_cosine(1.0) == 0.0, "not exact at the ends");
    for (int i = 0; i <= 1000; i++) {
        double t = i / 1000.0, got = mlp_half_cosine(t), half = cos(1.5707963267948966 * t);
        CHECK(near(got, half * half, 0x1p-51), "half cosine of %g: %.17g", t, got);
    }
}

int main(void) {
    test_whole_powers();
    test_powers();
    test_half_cosine();
    CHECK(all_bits == UINT64_C(0x1eb9d339e2b8928b), "bits %016" PRIx64, all_bits);
    return check_summary();
}
