/* vector_avx2.h: the vector interface of vector_generic.h (which documents it) for AVX2 with FMA: 8 floats or 4
 * doubles. Results have the same bits as those of vector_avx512.h. */
#ifndef MLP_VECTOR_H
#define MLP_VECTOR_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if REAL_IS_DOUBLE
typedef double real;
typedef __m256d vec;
#define LANES 4
#define V(operation) _mm256_##operation##_pd
#define SUFFIX "pd"
#define VI(operation) _mm256_##operation##_epi64
#define V_BITS _mm256_castpd_si256
#define V_FROM_BITS _mm256_castsi256_pd
#define V_SET1_BITS _mm256_set1_epi64x
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define SCALE_UP 768
#define SCALED_BACK 0x1p-768
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdLL
#define TWO_TO_MANTISSA 0x1p52
#else
typedef float real;
typedef __m256 vec;
#define LANES 8
#define V(operation) _mm256_##operation##_ps
#define SUFFIX "ps"
#define VI(operation) _mm256_##operation##_epi32
#define V_BITS _mm256_castps_si256
#define V_FROM_BITS _mm256_castsi256_ps
#define V_SET1_BITS _mm256_set1_epi32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SMALLEST_NORMAL 0x1p-126f
#define SCALE_UP 96
#define SCALED_BACK 0x1p-96f
#define SQRT_HALF_BITS 0x3f3504f3
#define TWO_TO_MANTISSA 0x1p23f
#endif

typedef vec mask; /* all bits of a lane set, or none */

#define TILE_ROWS 3
#define TILE_VECTORS 4
#define TILE_STEPS 4
#ifndef MLP_FUSES /* a test has them fuse all the same: fused.h is else not run on most machines */
#define TILE_FILLS_REGISTERS
#endif

static inline vec v_load(const real *p) { return V(loadu)(p); }
static inline void v_store(real *p, vec v) { V(storeu)(p, v); }
static inline vec v_set1(real x) { return V(set1)(x); }
static inline vec v_zero(void) { return V(setzero)(); }
static inline vec v_held(vec v) {
    __asm__("" : "+x"(v));
    return v;
}

static inline __m256i v_first(size_t n) { /* the mask of the first n lanes, a window into ones and zeros */
#if REAL_IS_DOUBLE
    static const int64_t window[2 * LANES] = {-1, -1, -1, -1};
#else
    static const int32_t window[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
#endif
    return _mm256_loadu_si256((const void *)(window + (n < LANES ? LANES - n : 0)));
}
/* Masked moves, the stores above all, are many times slower than whole ones: for the last vector alone. */
static inline vec v_load_n(const real *p, size_t n) { return n >= LANES ? v_load(p) : V(maskload)(p, v_first(n)); }
static inline void v_store_n(real *p, vec v, size_t n) {
    if (n >= LANES) {
        v_store(p, v);
    } else {
        V(maskstore)(p, v_first(n), v);
    }
}

/* Lane i in all lanes. */
static inline vec v_spread(vec v, size_t i) {
#if REAL_IS_DOUBLE
    __m256i half = _mm256_add_epi32(_mm256_set1_epi32(2 * (int)i), _mm256_set1_epi64x((long long)1 << 32));
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(v), half));
#else
    return _mm256_permutevar8x32_ps(v, _mm256_set1_epi32((int)i));
#endif
}

/* The same of the lower half, into the lower half alone: sooner, as nothing crosses the halves. */
#define LOWER_LANES (LANES / 2)
static inline vec v_spread_lower(vec v, size_t i) {
#if REAL_IS_DOUBLE
    return _mm256_permutevar_pd(v, _mm256_set1_epi64x((long long)i << 1));
#else
    return _mm256_permutevar_ps(v, _mm256_set1_epi32((int)i));
#endif
}

static inline void v_to_double(vec x, double *out) {
#if REAL_IS_DOUBLE
    _mm256_storeu_pd(out, x);
#else
    _mm256_storeu_pd(out, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
    _mm256_storeu_pd(out + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
#endif
}

static inline vec v_add(vec a, vec b) { return V(add)(a, b); }
static inline vec v_sub(vec a, vec b) { return V(sub)(a, b); }
static inline vec v_mul(vec a, vec b) { return V(mul)(a, b); }
static inline vec v_div(vec a, vec b) { return V(div)(a, b); }
static inline vec v_sqrt(vec a) { return V(sqrt)(a); }
static inline vec v_fma(vec a, vec b, vec c) { return V(fmadd)(a, b, c); }
/* An instruction that adds to a register: with all of them in use, GCC's choice among the forms of v_fma moves sums
 * from one to another. */
static inline vec v_accumulate(vec sum, vec a, vec b) {
    __asm__("vfmadd231" SUFFIX " %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}
static inline vec v_nfma(vec a, vec b, vec c) { return V(fnmadd)(a, b, c); }
static inline vec v_fused(vec a, vec b, vec c) { return v_fma(a, b, c); }
static inline vec v_neg(vec a) { return V(xor)(a, V(set1)((real)-0.0)); }
static inline vec v_abs(vec a) { return V(andnot)(V(set1)((real)-0.0), a); }
static inline vec v_minus_abs(vec a) { return V(or)(V(set1)((real)-0.0), a); }
static inline vec v_copysign(vec magnitude, vec sign) {
    vec bit = V(set1)((real)-0.0);
    return V(or)(V(andnot)(bit, magnitude), V (and)(bit, sign));
}
static inline vec v_max(vec a, vec b) { return V(max)(a, b); }
static inline vec v_min(vec a, vec b) { return V(min)(a, b); }

static inline mask v_lt(vec a, vec b) { return V(cmp)(a, b, _CMP_LT_OQ); }
static inline mask v_gt(vec a, vec b) { return V(cmp)(a, b, _CMP_GT_OQ); }
static inline mask v_ge(vec a, vec b) { return V(cmp)(a, b, _CMP_GE_OQ); }
static inline mask v_eq(vec a, vec b) { return V(cmp)(a, b, _CMP_EQ_OQ); }
static inline vec v_select(mask m, vec a, vec b) { return V(blendv)(b, a, m); }
static inline vec v_clear(mask m, vec a) { return V(andnot)(m, a); }
static inline vec v_by_sign(vec x, vec a, vec b) { return V(blendv)(b, a, x); }
static inline int v_all_finite(vec a) {
    return V(movemask)(v_lt(v_abs(a), V(set1)((real)INFINITY))) == (1 << LANES) - 1;
}

static inline vec v_round(vec a) { return V(round)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec v_pow2(vec n) {
    vec shifter = V(set1)((real)1.5 * TWO_TO_MANTISSA + EXPONENT_BIAS);
    return V_FROM_BITS(VI(slli)(V_BITS(V(add)(n, shifter)), MANTISSA_BITS));
}
static inline vec v_scale(vec x, vec n) {
    vec half = v_round(V(mul)(n, V(set1)((real)0.5)));
    return V(mul)(V(mul)(x, v_pow2(half)), v_pow2(V(sub)(n, half)));
}
static inline vec v_power_up(vec n) {
    vec shifter = V(set1)((real)1.5 * TWO_TO_MANTISSA + (EXPONENT_BIAS + SCALE_UP));
    return V_FROM_BITS(VI(slli)(V_BITS(V(add)(n, shifter)), MANTISSA_BITS));
}
static inline vec v_scale_down(vec x, vec n) { return V(mul)(V(mul)(x, v_power_up(n)), V(set1)(SCALED_BACK)); }
static inline vec v_power_down(vec n) { return V(mul)(v_power_up(n), V(set1)(SCALED_BACK)); }
static inline void v_split(vec x, vec *m, vec *e) {
    mask subnormal = v_lt(x, V(set1)(SMALLEST_NORMAL));
    __m256i bits = V_BITS(v_select(subnormal, V(mul)(x, V(set1)(TWO_TO_MANTISSA)), x));
    __m256i high_bits = VI(slli)(V_SET1_BITS(-1), MANTISSA_BITS);
    __m256i exponent = _mm256_and_si256(VI(sub)(bits, V_SET1_BITS(SQRT_HALF_BITS)), high_bits); /* e, where they lie */
    __m256i bias = VI(slli)(V_SET1_BITS(EXPONENT_BIAS), MANTISSA_BITS);
    __m256i biased = VI(srli)(VI(add)(exponent, bias), MANTISSA_BITS);
    /* In the lowest bits of 2^MANTISSA_BITS a whole number is already the number it stands for. */
    vec shifted = V_FROM_BITS(_mm256_or_si256(biased, V_BITS(V(set1)(TWO_TO_MANTISSA))));
    *m = V_FROM_BITS(VI(sub)(bits, exponent));
    *e = V(sub)(shifted, v_select(subnormal, V(set1)(TWO_TO_MANTISSA + (EXPONENT_BIAS + MANTISSA_BITS)),
                                  V(set1)(TWO_TO_MANTISSA + EXPONENT_BIAS)));
}

static inline void v_transpose(real *dst, size_t ld_dst, const real *src, size_t ld_src) {
    vec r[LANES], t[LANES];
#if REAL_IS_DOUBLE
    for (size_t i = 0; i < 4; i++) r[i] = v_load(src + i * ld_src);
    for (size_t i = 0; i < 4; i += 2) {
        t[i] = _mm256_unpacklo_pd(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_pd(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 2; i++) {
        v_store(dst + i * ld_dst, _mm256_permute2f128_pd(t[i], t[i + 2], 0x20));
        v_store(dst + (i + 2) * ld_dst, _mm256_permute2f128_pd(t[i], t[i + 2], 0x31));
    }
#else
    for (size_t i = 0; i < 8; i++) r[i] = v_load(src + i * ld_src);
    for (size_t i = 0; i < 8; i += 2) { /* pairs of rows */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) { /* fours: r[i + j] holds columns j and j + 4 */
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (size_t j = 0; j < 4; j++) {
        v_store(dst + j * ld_dst, _mm256_permute2f128_ps(r[j], r[j + 4], 0x20));
        v_store(dst + (j + 4) * ld_dst, _mm256_permute2f128_ps(r[j], r[j + 4], 0x31));
    }
#endif
}

#define FOLD(shuffle, a, b, low, high) v_add(shuffle(a, b, low), shuffle(a, b, high))
static inline vec v_totals(const vec *rows) { /* 128-bit halves first */
#if REAL_IS_DOUBLE
    vec s0 = FOLD(_mm256_permute2f128_pd, rows[0], rows[2], 0x20, 0x31);
    vec s1 = FOLD(_mm256_permute2f128_pd, rows[1], rows[3], 0x20, 0x31);
    return FOLD(_mm256_shuffle_pd, s0, s1, 0x0, 0xf);
#else
    vec s[4];
    for (size_t i = 0; i < 4; i++) s[i] = FOLD(_mm256_permute2f128_ps, rows[i], rows[4 + i], 0x20, 0x31);
    vec even = FOLD(_mm256_shuffle_ps, s[0], s[1], 0x44, 0xee), odd = FOLD(_mm256_shuffle_ps, s[2], s[3], 0x44, 0xee);
    return FOLD(_mm256_shuffle_ps, even, odd, 0x88, 0xdd);
#endif
}

#endif
