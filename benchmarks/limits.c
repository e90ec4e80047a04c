/* limits.c: what bounds a step on this machine, each measured alone on one thread: fused multiply-adds from registers,
 * a copy, an optimizer's update; and on two, a message. Compiled for the machine it runs on; the yardsticks of the
 * benchmark, no part of the package. Each returns seconds, or a negative number where there is no memory. */
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float vector __attribute__((vector_size(BYTES)));

volatile float sink; /* where results go, so that they must be computed */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations of one round of fma_seconds in float32, a fused multiply-add counted as two. */
double fma_operations(void) { return 2.0 * 12.0 * (BYTES / 4); }

/* `factor` and `term` are unknown to the compiler. */
double fma_seconds(long rounds, float factor, float term) {
    vector f = (vector){0} + factor, t = (vector){0} + term;
    vector a = t, b = a + t, c = b + t, d = c + t, e = d + t, g = e + t; /* twelve chains hide the latency */
    vector h = g + t, i = h + t, j = i + t, k = j + t, l = k + t, m = l + t;
    double start = now();
    for (long r = 0; r < rounds; r++) {
        a = a * f + t, b = b * f + t, c = c * f + t, d = d * f + t, e = e * f + t, g = g * f + t;
        h = h * f + t, i = i * f + t, j = j * f + t, k = k * f + t, l = l * f + t, m = m * f + t;
    }
    double seconds = now() - start;
    a += b + c + d + e + g + h + i + j + k + l + m;
    sink = a[0];
    return seconds;
}

/* One copy of `size` bytes to other `size` bytes, where both were touched just before. */
double copy_seconds(size_t size, long repeats) {
    /* On whole pages: some processors copy blocks at other places of a page several times slower. */
    size_t pages = (size + 4095) / 4096 * 4096;
    char *from = aligned_alloc(4096, pages), *to = aligned_alloc(4096, pages);
    double seconds = -1.0;
    if (from != NULL && to != NULL) {
        memset(from, 1, size);
        memcpy(to, from, size);
        double start = now();
        for (long r = 0; r < repeats; r++) {
            memcpy(to, from, size);
            __asm__ volatile("" : : "r"(to) : "memory");
        }
        seconds = (now() - start) / (double)repeats;
    }
    free(from);
    free(to);
    return seconds;
}

/* p: n parameters; g: their gradient; m, v: Adam's means. */
static void sgd(float *restrict p, const float *restrict g, size_t n, float rate) {
    for (size_t i = 0; i < n; i++) {
        p[i] -= rate * g[i];
    }
}

static void adam(float *restrict p, const float *restrict g, float *restrict m, float *restrict v, size_t n,
                 float rate) {
    for (size_t i = 0; i < n; i++) {
        m[i] += 0.1f * (g[i] - m[i]);
        v[i] += 0.001f * (g[i] * g[i] - v[i]);
        p[i] -= rate * m[i] / (sqrtf(v[i]) + 1e-8f);
    }
}

/* One update of n parameters in float32 by SGD or, where `with_adam`, by Adam. */
double update_seconds(size_t n, int with_adam, long repeats) {
    size_t arrays = with_adam ? 4 : 2;
    float *block = malloc(arrays * n * sizeof(float));
    if (block == NULL) {
        return -1.0;
    }
    for (size_t i = 0; i < arrays * n; i++) {
        block[i] = 0.5f;
    }
    double start = 0.0;
    for (long r = -1; r < repeats; r++) { /* the first one warms up */
        if (r == 0) {
            start = now();
        }
        if (with_adam) {
            adam(block, block + n, block + 2 * n, block + 3 * n, n, 1e-3f);
        } else {
            sgd(block, block + n, n, 1e-3f);
        }
        __asm__ volatile("" : : "r"(block) : "memory");
    }
    double seconds = (now() - start) / (double)repeats;
    sink = block[0];
    free(block);
    return seconds;
}

static atomic_long passed; /* how often the ball has been */

/* One message to the other thread and back. Two threads call it at once, each with a side of its own, 0 or 1; after the
 * same rounds the ball lies where it began. */
double message_seconds(long rounds, long side) {
    double start = now();
    for (long r = 0; r < 2 * rounds; r += 2) {
        for (long looks = 1; atomic_load_explicit(&passed, memory_order_acquire) != r + side; looks++) {
            if (looks % 10000 == 0) {
                sched_yield(); /* to the other one, if it has no other processor */
            }
        }
        atomic_store_explicit(&passed, r + side + 1 < 2 * rounds ? r + side + 1 : 0, memory_order_release);
    }
    return (now() - start) / (double)rounds;
}
