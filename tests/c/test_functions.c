/* test_functions.c: the vector headers, functions.h and activations.h of one dtype and instruction set, each operation
 * against C's own and each function against the C library in a wider type. Networks are not its concern.
 *
 *     cc -std=c11 -O3 -ffp-contract=off -mavx2 -mfma -DREAL_IS_DOUBLE=0 -DVECTOR_HEADER='"vector_avx2.h"' \
 *         -Icsrc -Icsrc/kernels tests/c/test_functions.c -lm -o test_functions
 *
 *     ./test_functions              samples; prints the largest error of each function in ulp
 *     ./test_functions exhaustive   the base functions over every float (for the float build; "exhaustive g_gelu":
 * this)
 *     ./test_functions bits         the operations, then one number over the bits of all functions' results, equal for
 *                                   instruction sets with FMA; no references, so that it is quick under an emulator */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include VECTOR_HEADER
#include "functions.h"

#include "../activations.h"

#include <float.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* wide: what references are computed in. */
#if REAL_IS_DOUBLE
typedef long double wide;
typedef uint64_t bits_of;
#define W(name) name##l
#define REAL_MANT_DIG DBL_MANT_DIG
#define REAL_MIN_EXP DBL_MIN_EXP
#define REAL_LARGEST DBL_MAX
#define REAL_LEAST DBL_MIN
#define REAL_EPSILON DBL_EPSILON
#define REFERENCE_ERROR (LDBL_MANT_DIG == DBL_MANT_DIG ? 3.0 : 0.0) /* where long double is no wider, in ulp */
#else
typedef double wide;
typedef uint32_t bits_of;
#define W(name) name
#define REAL_MANT_DIG FLT_MANT_DIG
#define REAL_MIN_EXP FLT_MIN_EXP
#define REAL_LARGEST FLT_MAX
#define REAL_LEAST FLT_MIN
#define REAL_EPSILON ((double)FLT_EPSILON)
#define REFERENCE_ERROR 0.0
#endif

static unsigned long passed, failed;

static void check(bool ok, const char *what, double x, double y) {
    if (ok) {
        passed++;
        return;
    }
    if (failed++ < 50) printf("FAILED %s at %.17g, %.17g\n", what, x, y);
}

static bits_of bits(real x) {
    bits_of b;
    memcpy(&b, &x, sizeof b);
    return b;
}
static bool same(real a, real b) { return bits(a) == bits(b) || (isnan(a) && isnan(b)); }
static real first_lane(vec v) {
    real lanes[LANES];
    v_store(lanes, v);
    return lanes[0];
}

/* ---- Operations. */

static const real specials[] = {
    (real)0,           (real)-0.0, (real)1,    (real)-1,    (real)0.5,    (real)-0.5,     (real)1.5,
    (real)2.5,         (real)-2.5, (real)3.25, (real)1e-30, (real)-1e30,  (real)INFINITY, (real)-INFINITY,
    (real)NAN,
#if REAL_IS_DOUBLE
    DBL_MIN,           DBL_MAX,    -DBL_MAX,   0x1p-1074,   -0x1.8p-1030, 0x1p52 + 1,     0x1.fffffffffffffp51,
    4503599627370495.5
#else
    FLT_MIN,     FLT_MAX,        -FLT_MAX,       0x1p-149f,       -0x1.8p-130f,
    0x1p23f + 1, 0x1.fffffep22f, 4194303.5f
#endif
};
#define N_SPECIALS (sizeof specials / sizeof *specials)

static void test_binary(void) {
    for (size_t i = 0; i < N_SPECIALS; i++)
        for (size_t j = 0; j < N_SPECIALS; j++) {
            real a = specials[i], b = specials[j];
            vec va = v_set1(a), vb = v_set1(b), one = v_set1(1), zero = v_zero();
#define SAME(what, got, want) check(same(first_lane(got), want), what, (double)a, (double)b)
            SAME("v_add", v_add(va, vb), a + b);
            SAME("v_sub", v_sub(va, vb), a - b);
            SAME("v_mul", v_mul(va, vb), a * b);
            SAME("v_div", v_div(va, vb), a / b);
            SAME("v_max", v_max(va, vb), a > b ? a : b);
            SAME("v_min", v_min(va, vb), a < b ? a : b);
            SAME("v_copysign", v_copysign(va, vb), (real)W(copysign)((wide)a, (wide)b));
            SAME("v_lt", v_select(v_lt(va, vb), one, zero), a < b ? (real)1 : (real)0);
            SAME("v_gt", v_select(v_gt(va, vb), one, zero), a > b ? (real)1 : (real)0);
            SAME("v_ge", v_select(v_ge(va, vb), one, zero), a >= b ? (real)1 : (real)0);
            SAME("v_eq", v_select(v_eq(va, vb), one, zero), a == b ? (real)1 : (real)0);
        }
}

static void test_unary(void) {
    for (size_t i = 0; i < N_SPECIALS; i++) {
        real a = specials[i], b = 0;
        vec va = v_set1(a);
        SAME("v_neg", v_neg(va), -a);
        SAME("v_abs", v_abs(va), (real)W(fabs)((wide)a));
        SAME("v_sqrt", v_sqrt(va), (real)sqrt((double)a));
        SAME("v_round", v_round(va), (real)W(nearbyint)((wide)a));
        check(!v_all_finite(va) == !isfinite(a), "v_all_finite", (double)a, 0);
        for (size_t lane = 0; lane < LANES; lane++) { /* one bad lane is enough */
            real lanes[LANES] = {0};
            lanes[lane] = a;
            check(!v_all_finite(v_load(lanes)) == !isfinite(a), "v_all_finite", (double)a, (double)lane);
        }
        double doubles[LANES];
        v_to_double(va, doubles);
        for (size_t lane = 0; lane < LANES; lane++)
            check(doubles[lane] == (double)a || isnan(a), "v_to_double", (double)a, (double)lane);
        if (a > 0 && a < (real)INFINITY) {
            vec m, e;
            v_split(va, &m, &e);
            double part = (double)first_lane(m), exponent = (double)first_lane(e);
            bool whole = ldexp(part, (int)exponent) == (double)a;
            check(whole && part > 0.707106 && part < 1.414214, "v_split", part, exponent);
        }
    }
    for (int i = -41; i <= 41; i++) /* halves to even */
        check(same(first_lane(v_round(v_set1((real)i / 2))), (real)nearbyint((double)i / 2)), "v_round", i, 2);
}

static void test_fused(void) { /* (1 + e)^2 - (1 + 2 e): e^2, which a rounded product loses */
    real e = (real)ldexp(1, 1 - REAL_MANT_DIG), b = 0, a = 1 + e;
#if LANES > 1
    SAME("v_fma", v_fma(v_set1(a), v_set1(a), v_set1(-(1 + 2 * e))), e * e);
    SAME("v_nfma", v_nfma(v_set1(a), v_set1(a), v_set1(1 + 2 * e)), -e * e);
#endif
    SAME("v_fma", v_fma(v_set1(3), v_set1(5), v_set1(7)), 22);
    SAME("v_nfma", v_nfma(v_set1(3), v_set1(5), v_set1(7)), -8);
}

static void test_scale(void) {
    const int last = 2 * (1 - REAL_MIN_EXP);
    for (int n = -last; n <= last; n++)
        for (real size = (real)0x1p-24; size < (real)0x1p24; size *= (real)1.7320508) {
            real x = n % 3 == 0 ? -size : size;
            wide exact = W(ldexp)((wide)x, n);
            check(same(first_lane(v_scale(v_set1(x), v_set1((real)n))), (real)exact), "v_scale", (double)x, n);
        }
    for (int n = 3 * REAL_MIN_EXP / 2; n <= 0; n++)
        for (real size = (real)0x1p-24; size < (real)0x1p24; size *= (real)1.7320508)
            check(same(first_lane(v_scale_down(v_set1(size), v_set1((real)n))), (real)W(ldexp)((wide)size, n)),
                  "v_scale_down", (double)size, n);
    for (int n = REAL_MIN_EXP - 1; n <= 1 - REAL_MIN_EXP; n++)
        check(same(first_lane(v_pow2(v_set1((real)n))), (real)W(ldexp)(1, n)), "v_pow2", n, 0);
}

static void test_memory(void) { /* the first n lanes at the very end of a page, nothing accessible behind it */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE) != 0) exit(2);
    real *end = (real *)(void *)(map + page), lanes[LANES];
    for (size_t n = 1; n <= LANES; n++) {
        for (size_t i = 0; i < 2 * LANES; i++) *(end - 1 - i) = (real)(100 + i);
        v_store(lanes, v_load_n(end - n, n));
        for (size_t i = 0; i < LANES; i++)
            check(same(lanes[i], i < n ? end[(ptrdiff_t)i - (ptrdiff_t)n] : 0), "v_load_n", (double)n, (double)i);
        for (size_t i = 0; i < LANES; i++) lanes[i] = (real)(i + 1);
        v_store_n(end - n, v_load(lanes), n);
        for (size_t i = 0; i < n; i++) check(same(*(end - n + i), lanes[i]), "v_store_n", (double)n, (double)i);
        check(same(*(end - n - 1), (real)(100 + n)), "v_store_n before", (double)n, 0);
        v_store_n(end - 2 * LANES, v_set1(7), n);
        for (size_t i = n; i < LANES; i++) check(*(end - 2 * LANES + i) != 7, "v_store_n behind", (double)n, (double)i);
    }
    v_store_n(end - LANES, v_set1(9), 1000); /* more than there are: all */
    v_store(lanes, v_load_n(end - LANES, 1000));
    for (size_t i = 0; i < LANES; i++) check(lanes[i] == 9, "n beyond LANES", (double)i, 0);
    munmap(map, 2 * page);
}

static void test_transpose(void) {
    enum { FROM = LANES + 3, TO = LANES + 5 };
    static real src[LANES * FROM], dst[LANES * TO];
    for (size_t i = 0; i < LANES * FROM; i++) src[i] = (real)(i + 1);
    v_transpose(dst, TO, src, FROM);
    for (size_t j = 0; j < LANES; j++)
        for (size_t i = 0; i < TO; i++)
            check(dst[j * TO + i] == (i < LANES ? src[i * FROM + j] : 0), "v_transpose", (double)i, (double)j);
}

/* ---- References, of exactly the argument given. Errors are counted in ulp of *size: the size of the value, or where
 * terms cancel, of the terms. */

static wide product_error(wide a, wide b, wide product) { return W(fma)(a, b, -product); }
static wide pdf(wide x) { /* exp(-x^2 / 2) / sqrt(2 pi) */
    wide square = x * x;
    if (!(square < 4000)) return isnan(x) ? x : 0;
    return W(exp)(-square / 2) * (1 - product_error(x, x, square) / 2) * (wide)0.398942280401432677939946059934381868L;
}
static wide cdf(wide x) { /* erfc(y) / 2, y = -x / sqrt(2) and the part of it that is rounded off */
    const wide root = (wide)-0.707106781186547524400844362104849039L;
    const wide root_low = W(fma)(root, -root, (wide)0.5) / (2 * root);
    wide y = x * root, rest = product_error(x, root, y) + x * root_low;
    if (!(W(fabs)(x) < 60)) return x < 0 ? 0 : x > 0 ? 1 : x;
    return W(erfc)(y) / 2 - W(sqrt)(2) * pdf(x) * rest;
}
static wide logistic(wide x) { return x < 0 ? W(exp)(x) / (1 + W(exp)(x)) : 1 / (1 + W(exp)(-x)); }
static wide softplus(wide x) { return (x > 0 ? x : isnan(x) ? x : 0) + W(log1p)(W(exp)(-W(fabs)(x))); }
static wide tanh_softplus(wide x) { /* without the cancellations of tanh(softplus(x)) */
    wide e = W(exp)(-W(fabs)(x));
    return x < 0 ? e * (2 + e) / (e * (2 + e) + 2) : (1 + 2 * e) / (1 + 2 * e + 2 * e * e);
}

#define REFERENCE(name, value)             \
    static wide name(wide x, wide *size) { \
        wide result = value;               \
        *size = W(fabs)(result);           \
        return result;                     \
    }
REFERENCE(ref_exp, W(exp)(x))
REFERENCE(ref_decay, W(exp)(-W(fabs)(x)))
REFERENCE(ref_expm1, W(expm1)(x))
REFERENCE(ref_log, x < 0 ? (wide)NAN : W(log)(x))
REFERENCE(ref_log1p_unit, W(log1p)(W(fabs)(x) > 1 ? 1 : W(fabs)(x)))
REFERENCE(ref_sigmoid, logistic(x))
REFERENCE(ref_tanh, W(tanh)(x))
REFERENCE(ref_softplus, softplus(x))
REFERENCE(ref_log_cosh, W(fabs)(x) < 1 ? W(log1p)(2 * W(sinh)(x / 2) * W(sinh)(x / 2))
                                       : W(fabs)(x) - W(log)(2) + W(log1p)(W(exp)(-2 * W(fabs)(x))))
REFERENCE(ref_phi_cdf, cdf(x))
REFERENCE(ref_phi_pdf, pdf(x))
REFERENCE(ref_identity, x)
REFERENCE(ref_relu, x > 0 || isnan(x) ? x : 0)
REFERENCE(ref_leaky_relu, x > 0 ? x : x * (wide)LEAKY_SLOPE)
REFERENCE(ref_elu, x > 0 ? x : W(expm1)(x))
#define SCALE ((wide)1.0507009873554804934193349852946L)
#define SCALE_ALPHA (SCALE * (wide)1.6732632423543772848170429916717L)
REFERENCE(ref_selu, x > 0 ? SCALE * x : SCALE_ALPHA * W(expm1)(x))
REFERENCE(ref_softsign, isinf(x) ? W(copysign)(1, x) : x / (1 + W(fabs)(x)))
REFERENCE(ref_gelu, x == -(wide)INFINITY ? 0 : x * cdf(x))
REFERENCE(ref_silu, x == -(wide)INFINITY ? 0 : x < 0 ? x * W(exp)(x) / (1 + W(exp)(x)) : x / (1 + W(exp)(-x)))
REFERENCE(ref_mish, x == -(wide)INFINITY ? 0 : x * tanh_softplus(x))

/* g'(z) as a function of z. */
REFERENCE(slope_identity, isnan(x) ? x : 1)
REFERENCE(slope_sigmoid, logistic(x) * logistic(-x))
REFERENCE(slope_tanh, 1 / (W(cosh)(x) * W(cosh)(x)))
REFERENCE(slope_relu, x > 0 ? 1 : 0)
REFERENCE(slope_leaky_relu, x > 0 ? 1 : (wide)LEAKY_SLOPE)
REFERENCE(slope_elu, x > 0 ? 1 : W(exp)(x))
REFERENCE(slope_selu, x > 0 ? SCALE : SCALE_ALPHA * W(exp)(x))
REFERENCE(slope_softplus, logistic(x))
REFERENCE(slope_softsign, 1 / ((1 + W(fabs)(x)) * (1 + W(fabs)(x))))
static wide slope_gelu(wide x, wide *size) {
    *size = cdf(x) + (isinf(x) ? 0 : W(fabs)(x) * pdf(x));
    return isinf(x) ? cdf(x) : cdf(x) + x * pdf(x);
}
static wide slope_silu(wide x, wide *size) {
    *size = logistic(x) * (1 + (isinf(x) ? 0 : W(fabs)(x)) * logistic(-x));
    return isinf(x) ? logistic(x) : logistic(x) * (1 + x * logistic(-x));
}
static wide slope_mish(wide x, wide *size) {
    wide t = tanh_softplus(x), e = W(exp)(-W(fabs)(x));
    wide d = x < 0 ? e * (2 + e) + 2 : 1 + 2 * e + 2 * e * e;
    wide other = isinf(x) ? 0 : x * 4 * (x < 0 ? e : e * e) * (1 + e) / (d * d);
    *size = t + W(fabs)(other);
    return t + other;
}

/* ---- Functions against references. */

typedef struct {
    const char *name;
    vec (*f)(vec);
    wide (*reference)(wide x, wide *size);
    double low, high; /* where it is worth sampling evenly */
    double bound;     /* in ulp */
} function;

/* Whole functions of the parts that gelu is made of. */
static vec phi_cdf(vec x) { /* Phi(x) = erfc(-x / sqrt(2)) / 2, 4 ulp, in the negative tail too */
    vec n, w, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(x)), m = normal_parts(a, &n), f = normal_tail(a, &w);
    vec ratio = v_div(f, v_add(a, v_set1(TAIL_CENTER))), tail = v_scale_down(v_fused(ratio, m, ratio), n);
    return v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1), tail));
}

static vec phi_pdf(vec x) { /* exp(-x^2 / 2) / sqrt(2 pi), 2 ulp */
    vec n, m = normal_parts(v_min(v_set1(NORMAL_HIGHEST), v_abs(x)), &n);
    return exp_times(v_set1((real)ROOT_1_2PI), m, n);
}

static vec log1p_unit_of_size(vec x) { return log1p_unit(v_min(v_set1(1), v_abs(x))); }

static const function functions[] = {
    {"exp", f_exp, ref_exp, -(double)DECAY_HIGHEST, (double)EXP_HIGHEST, 1.25},
    {"decay", f_decay, ref_decay, 0, (double)DECAY_HIGHEST, 1.25},
    {"expm1", f_expm1, ref_expm1, -50, (double)EXP_HIGHEST, 1.5},
    {"log", f_log, ref_log, 0, 4, 1},
    {"log1p_unit", log1p_unit_of_size, ref_log1p_unit, 0, 1, 1.5},
#define FUNCTION(name, low, high, bound) {"g_" #name, g_##name, ref_##name, low, high, bound}
    FUNCTION(sigmoid, -(double)DECAY_HIGHEST, 40, 2),
    FUNCTION(tanh, -20, 20, 2),
    {"phi_cdf", phi_cdf, ref_phi_cdf, -(double)NORMAL_HIGHEST, 10, 4},
    {"phi_pdf", phi_pdf, ref_phi_pdf, -(double)NORMAL_HIGHEST, (double)NORMAL_HIGHEST, 2},
    {"log_cosh", f_log_cosh, ref_log_cosh, -30, 30, 2},
    FUNCTION(identity, -9, 9, 0),
    FUNCTION(relu, -9, 9, 0),
    FUNCTION(leaky_relu, -9, 9, 0.5),
    FUNCTION(elu, -50, 9, 1.5),
    FUNCTION(selu, -50, 9, 3),
    FUNCTION(softplus, -(double)DECAY_HIGHEST, 40, 2),
    FUNCTION(softsign, -9, 9, 1.5),
    FUNCTION(gelu, -(double)NORMAL_HIGHEST, 10, 4),
    FUNCTION(silu, -(double)DECAY_HIGHEST, 40, 3.5),
    FUNCTION(mish, -(double)DECAY_HIGHEST, 40, 3.5),
    {"d_gelu", d_gelu, slope_gelu, -(double)NORMAL_HIGHEST, 10, 4},
    {"d_silu", d_silu, slope_silu, -(double)DECAY_HIGHEST, 40, 4},
    {"d_mish", d_mish, slope_mish, -(double)DECAY_HIGHEST, 40, 4},
};
#define N_BASE 9 /* the first of them, which the others are made from */
#define N_FUNCTIONS (sizeof functions / sizeof *functions)

/* 2^floor(log2(x)), 0 below the normal numbers: without branches, for loops over all floats. */
static inline double power_of_two(double x) {
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    b &= UINT64_C(0x7ff) << 52;
    memcpy(&x, &b, sizeof x);
    return x;
}
/* In ulp of size, for finite `want`; the power of 2 after the largest number stands for infinity. */
static inline double distance(real got, wide want, wide size) {
    const wide beyond = (wide)REAL_LARGEST + (wide)REAL_LARGEST * (wide)REAL_EPSILON / 2;
    const double least = (double)REAL_LEAST;
    wide value = (wide)got;
    value = value > beyond ? beyond : value;
    value = value < -beyond ? -beyond : value;
    want = want > beyond ? beyond : want;
    double unit = power_of_two((double)size);
    unit = unit > least ? unit : least;
    return (double)W(fabs)(value - want) / (unit * REAL_EPSILON);
}
static double error_in_ulp(real got, wide want, wide size) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
    return (wide)got == want ? 0 : isinf(want) ? HUGE_VAL : distance(got, want, size);
}

enum { BLOCK = 4096 };
typedef struct {
    double largest, at;
    uint64_t hash;
} outcome;

/* The references of a block of consecutive floats with one exponent: the polynomial through NODES of them. False where
 * it misses a value between the nodes: there the function is not smooth enough. */
enum { NODES = 6, STEP = (BLOCK - 1) / (NODES - 1) };
static wide newton(const wide *differences, wide t) {
    wide value = differences[NODES - 1];
    for (int k = NODES - 2; k >= 0; k--) value = value * (t - (wide)k) + differences[k];
    return value;
}
static bool interpolate(wide *want, wide *size, const function *f, const real *x) {
    wide w[NODES], s[NODES];
    for (int k = 0; k < NODES; k++) w[k] = f->reference((wide)x[k * STEP], &s[k]);
    for (int order = 1; order < NODES; order++)
        for (int k = NODES - 1; k >= order; k--) {
            w[k] = (w[k] - w[k - 1]) / (wide)order;
            s[k] = (s[k] - s[k - 1]) / (wide)order;
        }
    for (int i = STEP / 2; i < BLOCK; i += STEP) {
        wide exact_size, exact = f->reference((wide)x[i], &exact_size), t = (wide)i / STEP;
        wide unit = (wide)(power_of_two((double)exact_size) + (double)REAL_LEAST) * (wide)REAL_EPSILON;
        if (!(W(fabs)(newton(w, t) - exact) < unit / 4096 && W(fabs)(newton(s, t) - exact_size) < unit)) return false;
    }
    for (int i = 0; i < BLOCK; i++) {
        want[i] = newton(w, (wide)i * (1 / (wide)STEP));
        size[i] = newton(s, (wide)i * (1 / (wide)STEP));
    }
    return true;
}

static void apply(real *out, vec (*f)(vec), const real *x) {
    for (size_t i = 0; i < BLOCK; i += LANES) v_store(out + i, f(v_load(x + i)));
}
static void judge(outcome *o, const function *f, const real *x, bool consecutive) {
    static real out[BLOCK];
    static wide want[BLOCK], size[BLOCK];
    static double errors[BLOCK];
    apply(out, f->f, x);
    if (!consecutive || !interpolate(want, size, f, x))
        for (size_t i = 0; i < BLOCK; i++) want[i] = f->reference((wide)x[i], &size[i]);
    for (size_t i = 0; i < BLOCK; i++) errors[i] = distance(out[i], want[i], size[i]);
    for (size_t i = 0; i < BLOCK; i++) {
        if (errors[i] <= o->largest && W(fabs)(want[i]) < (wide)INFINITY) continue;
        double error = error_in_ulp(out[i], want[i], size[i]);
        if (error > o->largest) {
            o->largest = error;
            o->at = (double)x[i];
        }
    }
}
static void hash(outcome *o, const function *f, const real *x, bool consecutive) { /* FNV-1a; NaNs are all the same */
    static real out[BLOCK];
    (void)consecutive;
    apply(out, f->f, x);
    for (size_t i = 0; i < BLOCK; i++) o->hash = (o->hash ^ (isnan(out[i]) ? 1 : bits(out[i]))) * 0x100000001b3u;
}

static uint64_t random_state;
static uint64_t random_bits(void) { /* SplitMix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
/* Two thirds spread evenly over the function's own range, the rest over all bit patterns and all sizes below 2^12. */
static void sample(real *x, const function *f) {
    for (size_t i = 0; i < BLOCK; i++) {
        double uniform = (double)(random_bits() >> 11) * 0x1p-53;
        bits_of pattern = (bits_of)random_bits();
        if (i < N_SPECIALS)
            x[i] = specials[i];
        else if (i % 6 == 0)
            memcpy(&x[i], &pattern, sizeof pattern);
        else if (i % 6 == 1)
            x[i] = (real)ldexp((pattern & 1 ? -1 : 1) * (1 + uniform), 11 - (int)((pattern >> 1) % 70)); /* exact */
        else
            x[i] = (real)(f->low + (f->high - f->low) * uniform);
    }
}
/* Numbers around the places where exp overflows, its result turns subnormal or 0, and where formulas change. */
static void edges(real *x, const function *f) {
    const double smallest = (REAL_MIN_EXP - REAL_MANT_DIG) * log(2);
    const double places[] = {REAL_MIN_EXP * -log(2),
                             (2 - REAL_MIN_EXP) * log(2),
                             (REAL_MIN_EXP - 1) * log(2),
                             smallest,
                             smallest - log(2),
                             (double)EXP_HIGHEST,
                             (double)DECAY_HIGHEST,
                             (double)NORMAL_HIGHEST,
                             sqrt(-2 * smallest),
                             sqrt(-2 * REAL_MIN_EXP * log(2)),
                             -(double)EXPM1_LOWEST,
                             1,
                             log(2) / 2,
                             REAL_MANT_DIG * log(2) / 2};
    const size_t n = sizeof places / sizeof *places, around = BLOCK / (2 * n);
    (void)f;
    for (size_t i = 0; i < BLOCK; i++) {
        real place = (real)fabs(places[i / 2 % n]);
        bits_of near = bits(place) + (bits_of)(i / (2 * n)) - (bits_of)(around / 2);
        memcpy(&place, &near, sizeof near);
        x[i] = i % 2 == 0 ? place : -place;
    }
}
static void every_float(real *x, uint64_t from) {
    for (size_t i = 0; i < BLOCK; i++) {
        bits_of pattern = (bits_of)(from + i);
        memcpy(&x[i], &pattern, sizeof pattern);
    }
}

static uint64_t test_functions(void (*use)(outcome *, const function *, const real *, bool), bool exhaustive,
                               const char *only) {
    static real x[BLOCK];
    uint64_t all = 0;
    for (size_t i = 0; i < N_FUNCTIONS; i++) {
        outcome o = {0, 0, 0xcbf29ce484222325u};
        if (only != NULL ? strcmp(only, functions[i].name) != 0 : exhaustive && i >= N_BASE) continue;
        random_state = i;
        uint64_t blocks = exhaustive ? ((uint64_t)1 << 32) / BLOCK : 25;
        edges(x, &functions[i]);
        use(&o, &functions[i], x, false);
        for (uint64_t block = 0; block < blocks; block++) {
            if (exhaustive) {
                every_float(x, block * BLOCK);
                use(&o, &functions[i], x, isnormal(x[0]));
            } else {
                sample(x, &functions[i]);
                use(&o, &functions[i], x, false);
            }
        }
        all = (all ^ o.hash) * 0x100000001b3u;
        if (use != judge) continue;
        printf("%-14s %.3f ulp at %.9g\n", functions[i].name, o.largest, o.at);
        fflush(stdout);
        check(o.largest <= functions[i].bound + REFERENCE_ERROR, functions[i].name, o.at, o.largest);
    }
    return all;
}

/* ---- Activations: g' as the network gets it, from a or from z. */

enum { FROM_OUTPUT, FROM_INPUT };

static void test_slope(const char *name, int from, vec (*g)(vec), vec (*d)(vec), wide (*slope)(wide, wide *)) {
    const double tolerance = (4 + REFERENCE_ERROR) * ldexp(1, 1 - REAL_MANT_DIG);
    for (double z = -1000; z <= 1000; z += fabs(z) < 12 ? 0.00390625 : 0.75) {
        vec x = v_set1((real)z);
        wide size, want = slope((wide)(real)z, &size);
        real got = first_lane(d(from == FROM_OUTPUT ? g(x) : x));
        check(W(fabs)((wide)got - want) <= (wide)tolerance, name, z, (double)got);
    }
    real nan_value = (real)NAN, largest = (real)REAL_LARGEST;
    check(isnan(first_lane(g(v_set1(nan_value)))), name, (double)NAN, 0);
    check(!isnan(first_lane(g(v_set1(largest)))) && !isnan(first_lane(g(v_set1(-largest)))), name, (double)largest, 0);
    for (int sign = -1; sign <= 1; sign += 2) {
        vec x = v_set1((real)sign * (real)INFINITY);
        check(!isnan(first_lane(g(x))), name, sign * (double)INFINITY, 0);
        check(!isnan(first_lane(d(from == FROM_OUTPUT ? g(x) : x))), name, sign * (double)INFINITY, 1);
    }
}

static void test_activations(void) {
#define SLOPE(name, from) test_slope("d_" #name, from, g_##name, d_##name, slope_##name);
    MLP_ACTIVATIONS(SLOPE)
    vec zero = v_zero();
    check(first_lane(d_relu(g_relu(zero))) == 0, "d_relu", 0, 0);
    check(first_lane(d_leaky_relu(g_leaky_relu(zero))) == LEAKY_SLOPE, "d_leaky_relu", 0, 0);
    check(first_lane(d_elu(g_elu(zero))) == 1, "d_elu", 0, 0);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "", *only = argc > 2 ? argv[2] : NULL;
    test_binary();
    test_unary();
    test_fused();
    test_scale();
    test_memory();
    test_transpose();
    if (strcmp(mode, "bits") == 0) {
        printf("%016" PRIx64 "\n", test_functions(hash, false, NULL));
        return failed != 0;
    }
    test_activations();
    test_functions(judge, strcmp(mode, "exhaustive") == 0 && !REAL_IS_DOUBLE, only);
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed != 0;
}
