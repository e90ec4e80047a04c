/* peak.c: how many floating-point operations a second one core does when nothing but fused multiply-adds runs, all from
 * registers. Compiled for the machine it runs on; the yardstick of the benchmark, no part of the package. */
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float vector __attribute__((vector_size(BYTES)));

volatile float fma_sink; /* where the result goes, so that it must be computed */

/* Operations a second, counting a fused multiply-add as two. `factor` and `term` are unknown to the compiler. */
double fma_peak(long rounds, float factor, float term) {
    vector f = (vector){0} + factor, t = (vector){0} + term;
    vector a = t, b = a + t, c = b + t, d = c + t, e = d + t, g = e + t; /* twelve chains hide the latency */
    vector h = g + t, i = h + t, j = i + t, k = j + t, l = k + t, m = l + t;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long r = 0; r < rounds; r++) {
        a = a * f + t, b = b * f + t, c = c * f + t, d = d * f + t, e = e * f + t, g = g * f + t;
        h = h * f + t, i = i * f + t, j = j * f + t, k = k * f + t, l = l * f + t, m = m * f + t;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    a += b + c + d + e + g + h + i + j + k + l + m;
    fma_sink = a[0];
    double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    return 2.0 * 12.0 * (BYTES / 4) * (double)rounds / seconds;
}
