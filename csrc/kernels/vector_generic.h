/* vector_generic.h: the vector interface as scalar C11, one lane wide, for any machine. It holds the operations that
 * functions.h, activations.h and the loops of the kernels are written in, and nothing of what they compute.
 *
 * The includer defines REAL_IS_DOUBLE as 0 or 1 and includes exactly one vector_*.h. Every vector_*.h offers the same
 * names with the same results, this one excepted in v_fma and v_nfma, which round the product too: code above must
 * stay accurate either way, or use v_fused. Compiled with -ffp-contract=off, so that an operation is fused only where
 * it says so. */
#ifndef MLP_VECTOR_H
#define MLP_VECTOR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if REAL_IS_DOUBLE
typedef double real;
typedef uint64_t real_bits;
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define SCALE_UP 768
#define SCALED_BACK 0x1p-768
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdu
#else
typedef float real;
typedef uint32_t real_bits;
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SMALLEST_NORMAL 0x1p-126f
#define SCALE_UP 96
#define SCALED_BACK 0x1p-96f
#define SQRT_HALF_BITS 0x3f3504f3u
#endif

typedef real vec;
typedef bool mask;

#define LANES 1
#define TILE_ROWS 4 /* the register tile of the matrix kernel: rows, and vectors in a row */
#define TILE_VECTORS 4
#define TILE_STEPS 1         /* of k in a turn of its loop */
#define TILE_FILLS_REGISTERS /* nothing else should be done beside it */

#define SIGN_BIT ((real_bits)1 << (8 * sizeof(real) - 1))
#define TWO_TO_MANTISSA ((real)((real_bits)1 << MANTISSA_BITS)) /* from here on every real is a whole number */

static inline real_bits v_bits(vec v) {
    real_bits bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline vec v_from_bits(real_bits bits) {
    vec v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline vec v_load(const real *p) { return *p; }
static inline void v_store(real *p, vec v) { *p = v; }
/* The first n >= 1 lanes; the others are read as 0 and not written. n >= LANES means all. */
static inline vec v_load_n(const real *p, size_t n) {
    (void)n;
    return *p;
}
static inline void v_store_n(real *p, vec v, size_t n) {
    (void)n;
    *p = v;
}
static inline vec v_set1(real x) { return x; }
static inline vec v_zero(void) { return 0; }
/* The same vector, which a compiler does not load anew wherever it is used. */
static inline vec v_held(vec v) { return v; }
static inline vec v_spread(vec v, size_t i) { /* lane i in all lanes */
    (void)i;
    return v;
}
/* Some headers have v_spread_lower: the same for the first LOWER_LANES lanes, the others of the result are anything. */
static inline void v_to_double(vec x, double *out) { *out = (double)x; } /* LANES doubles */

static inline vec v_add(vec a, vec b) { return a + b; }
static inline vec v_sub(vec a, vec b) { return a - b; }
static inline vec v_mul(vec a, vec b) { return a * b; }
static inline vec v_div(vec a, vec b) { return a / b; }
static inline vec v_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec v_fused(vec a, vec b, vec c) { /* rounded once here too, which may be slow */
#if REAL_IS_DOUBLE
    return fma(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}
static inline vec v_accumulate(vec sum, vec a, vec b) { return v_fma(a, b, sum); }
static inline vec v_nfma(vec a, vec b, vec c) { return c - a * b; }
static inline vec v_neg(vec a) { return -a; }
static inline vec v_abs(vec a) { return v_from_bits(v_bits(a) & ~SIGN_BIT); }
static inline vec v_minus_abs(vec a) { return v_from_bits(v_bits(a) | SIGN_BIT); }
static inline vec v_copysign(vec magnitude, vec sign) {
    return v_from_bits((v_bits(magnitude) & ~SIGN_BIT) | (v_bits(sign) & SIGN_BIT));
}
static inline vec v_sqrt(vec a) {
#if REAL_IS_DOUBLE
    return sqrt(a);
#else
    return sqrtf(a);
#endif
}
/* a > b ? a : b and a < b ? a : b: of two zeros, and where one is NaN, the second operand. */
static inline vec v_max(vec a, vec b) { return a > b ? a : b; }
static inline vec v_min(vec a, vec b) { return a < b ? a : b; }

static inline mask v_lt(vec a, vec b) { return a < b; }
static inline mask v_gt(vec a, vec b) { return a > b; }
static inline mask v_ge(vec a, vec b) { return a >= b; }
static inline mask v_eq(vec a, vec b) { return a == b; }
static inline vec v_select(mask m, vec a, vec b) { return m ? a : b; }
/* a, and 0 where m is set. */
static inline vec v_clear(mask m, vec a) { return m ? 0 : a; }
/* a where x < 0, b where x > 0, one of them where it is zero or NaN. */
static inline vec v_by_sign(vec x, vec a, vec b) { return x < 0 ? a : b; }
static inline int v_all_finite(vec a) { return v_abs(a) < (real)INFINITY; }

/* To the nearest whole number, halves to the even one. */
static inline vec v_round(vec a) {
    vec magnitude = v_abs(a);
    vec shifter = magnitude < TWO_TO_MANTISSA ? TWO_TO_MANTISSA : 0;
    return v_copysign((magnitude + shifter) - shifter, a);
}

/* 2^n for whole n in the range of normal numbers. Adding the constant leaves n + bias in the lowest bits. */
static inline vec v_pow2(vec n) {
    const vec shifter = (real)1.5 * TWO_TO_MANTISSA + EXPONENT_BIAS;
    return v_from_bits(v_bits(n + shifter) << MANTISSA_BITS);
}
/* x 2^n for whole n, rounded once where it is subnormal, infinite where it is too large: for |x| in [2^-24, 2^24] and
 * |n| <= 2 EXPONENT_BIAS - 2; for any x where n = 0. Half of n at a time, because 2^n itself may not exist. */
static inline vec v_scale(vec x, vec n) {
    vec half = v_round(n * (real)0.5);
    return x * v_pow2(half) * v_pow2(n - half);
}
/* The same in fewer steps for n from -3/2 EXPONENT_BIAS to 0: by way of a product that is normal. */
static inline vec v_power_up(vec n) {
    const vec shifter = (real)1.5 * TWO_TO_MANTISSA + (EXPONENT_BIAS + SCALE_UP);
    return v_from_bits(v_bits(n + shifter) << MANTISSA_BITS);
}
static inline vec v_scale_down(vec x, vec n) { return x * v_power_up(n) * SCALED_BACK; }
/* 2^n for such n: subnormal or 0 where it must be. */
static inline vec v_power_down(vec n) { return v_power_up(n) * SCALED_BACK; }
/* x = m 2^e with m from sqrt(1/2) to sqrt(2), for positive finite x, subnormal ones included. */
static inline void v_split(vec x, vec *m, vec *e) {
    bool subnormal = x < SMALLEST_NORMAL;
    real_bits bits = v_bits(subnormal ? x * TWO_TO_MANTISSA : x);
    real_bits exponent = (bits - SQRT_HALF_BITS) & ~(((real_bits)1 << MANTISSA_BITS) - 1); /* e, where exponents lie */
    real_bits biased = (exponent + ((real_bits)EXPONENT_BIAS << MANTISSA_BITS)) >> MANTISSA_BITS;
    *m = v_from_bits(bits - exponent);
    *e = (real)biased - (subnormal ? (real)(EXPONENT_BIAS + MANTISSA_BITS) : (real)EXPONENT_BIAS);
}

/* dst[j ld_dst + i] = src[i ld_src + j] for a block of LANES by LANES. */
static inline void v_transpose(real *dst, size_t ld_dst, const real *src, size_t ld_src) {
    (void)ld_dst;
    (void)ld_src;
    *dst = *src;
}

/* Lane i is the sum of rows[i], of LANES, whose halves are added until one element is left. */
static inline vec v_totals(const vec *rows) { return *rows; }

#endif
