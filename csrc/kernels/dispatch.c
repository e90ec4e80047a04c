/* dispatch.c: which tables of kernels there are, and which of them this machine can run. */
#include <string.h>

#include "../kernels.h"
#include "../mlp.h"

extern const mlp_kernels mlp_kernels_f32_generic, mlp_kernels_f64_generic;
#if defined(__aarch64__)
extern const mlp_kernels mlp_kernels_f32_neon, mlp_kernels_f64_neon;
#elif defined(__x86_64__)
extern const mlp_kernels mlp_kernels_f32_avx2, mlp_kernels_f64_avx2, mlp_kernels_f32_avx512, mlp_kernels_f64_avx512;

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && has_avx2();
}
#endif

static bool always(void) { return true; }

/* The best first. */
static const struct {
    const mlp_kernels *f32, *f64;
    bool (*available)(void);
} tables[] = {
#if defined(__aarch64__)
    {&mlp_kernels_f32_neon, &mlp_kernels_f64_neon, always},
#elif defined(__x86_64__)
    {&mlp_kernels_f32_avx512, &mlp_kernels_f64_avx512, has_avx512},
    {&mlp_kernels_f32_avx2, &mlp_kernels_f64_avx2, has_avx2},
#endif
    {&mlp_kernels_f32_generic, &mlp_kernels_f64_generic, always},
};
enum { N_TABLES = sizeof tables / sizeof *tables };

const mlp_kernels *mlp_find_kernels(const char *name, bool is_double) {
    for (size_t i = 0; i < N_TABLES; i++) {
        if (tables[i].available() && (name == NULL || strcmp(name, tables[i].f32->name) == 0)) {
            return is_double ? tables[i].f64 : tables[i].f32;
        }
    }
    return NULL;
}

const mlp_kernels *mlp_kernels_for(const mlp_kernels *kernels, size_t n) {
#if defined(__x86_64__)
    bool is_double = kernels->item == sizeof(double);
    const mlp_kernels *longer = is_double ? &mlp_kernels_f64_avx512 : &mlp_kernels_f32_avx512;
    const mlp_kernels *shorter = is_double ? &mlp_kernels_f64_avx2 : &mlp_kernels_f32_avx2;
    if (kernels == longer && n <= shorter->lanes) {
        return shorter;
    }
#else
    (void)n;
#endif
    return kernels;
}

const char *mlp_kernels_available(size_t i) {
    for (size_t t = 0; t < N_TABLES; t++) {
        if (tables[t].available() && i-- == 0) {
            return tables[t].f32->name;
        }
    }
    return NULL;
}
