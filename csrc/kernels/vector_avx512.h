/* vector_avx512.h: the vector interface of vector_generic.h (which documents it) for AVX-512 with its F, VL, BW and DQ
 * parts: 16 floats or 8 doubles. Results have the same bits as those of vector_avx2.h. */
#ifndef MLP_VECTOR_H
#define MLP_VECTOR_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if REAL_IS_DOUBLE
typedef double real;
typedef __m512d vec;
typedef __mmask8 mask;
#define LANES 8
#define V(operation) _mm512_##operation##_pd
#define V_COMPARE _mm512_cmp_pd_mask
#define TWICE_SQRT_HALF 0x1.6a09e667f3bcdp+0
#else
typedef float real;
typedef __m512 vec;
typedef __mmask16 mask;
#define LANES 16
#define V(operation) _mm512_##operation##_ps
#define V_COMPARE _mm512_cmp_ps_mask
#define TWICE_SQRT_HALF 0x1.6a09e6p+0f
#endif

#define TILE_ROWS 6
#define TILE_VECTORS 4
#define TILE_STEPS 1
#define MASKED_AT_ONCE 1
#define ALL_LANES ((mask)((1u << LANES) - 1))

static inline vec v_load(const real *p) { return V(loadu)(p); }
static inline void v_store(real *p, vec v) { V(storeu)(p, v); }
static inline vec v_set1(real x) { return V(set1)(x); }
static inline vec v_zero(void) { return V(setzero)(); }
static inline vec v_held(vec v) {
    __asm__("" : "+v"(v));
    return v;
}

static inline mask v_first(size_t n) { return (mask)(n < LANES ? (1u << n) - 1 : ALL_LANES); }
static inline vec v_load_n(const real *p, size_t n) { return V(maskz_loadu)(v_first(n), p); }
static inline void v_store_n(real *p, vec v, size_t n) {
    if (n >= LANES) {
        v_store(p, v);
    } else {
        V(mask_storeu)(p, v_first(n), v);
    }
}

#define HALF_LANES (LANES / 2)
#if REAL_IS_DOUBLE
typedef __m256d half_vec;
#define H(operation) _mm256_##operation##_pd
static inline half_vec h_low(vec v) { return _mm512_castpd512_pd256(v); }
static inline vec h_wide(half_vec v) { return _mm512_zextpd256_pd512(v); }
#else
typedef __m256 half_vec;
#define H(operation) _mm256_##operation##_ps
static inline half_vec h_low(vec v) { return _mm512_castps512_ps256(v); }
static inline vec h_wide(half_vec v) { return _mm512_zextps256_ps512(v); }
#endif
static inline half_vec h_zero(void) { return H(setzero)(); }
static inline half_vec h_set1(real x) { return H(set1)(x); }
static inline half_vec h_load(const real *p) { return H(loadu)(p); }
static inline half_vec h_load_n(const real *p, size_t n) { return H(maskz_loadu)((__mmask8)v_first(n), p); }
static inline void h_store_n(real *p, half_vec v, size_t n) { H(mask_storeu)(p, (__mmask8)v_first(n), v); }
static inline half_vec h_fma(half_vec a, half_vec b, half_vec c) { return H(fmadd)(a, b, c); }

/* Lane i in all lanes. */
static inline vec v_spread(vec v, size_t i) {
#if REAL_IS_DOUBLE
    return _mm512_permutexvar_pd(_mm512_set1_epi64((long long)i), v);
#else
    return _mm512_permutexvar_ps(_mm512_set1_epi32((int)i), v);
#endif
}

static inline void v_to_double(vec x, double *out) {
#if REAL_IS_DOUBLE
    _mm512_storeu_pd(out, x);
#else
    _mm512_storeu_pd(out, _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    _mm512_storeu_pd(out + 8, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
#endif
}

static inline vec v_add(vec a, vec b) { return V(add)(a, b); }
static inline vec v_sub(vec a, vec b) { return V(sub)(a, b); }
static inline vec v_mul(vec a, vec b) { return V(mul)(a, b); }
static inline vec v_div(vec a, vec b) { return V(div)(a, b); }
static inline vec v_sqrt(vec a) { return V(sqrt)(a); }
static inline vec v_fma(vec a, vec b, vec c) { return V(fmadd)(a, b, c); }
static inline vec v_accumulate(vec sum, vec a, vec b) {
    sum = v_fma(a, b, sum);
#ifdef __clang__ /* else it loads a whole step's numbers first, more than there are registers for */
    __asm__ volatile("" : "+v"(sum) : : "memory");
#endif
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

static inline mask v_lt(vec a, vec b) { return V_COMPARE(a, b, _CMP_LT_OQ); }
static inline mask v_gt(vec a, vec b) { return V_COMPARE(a, b, _CMP_GT_OQ); }
static inline mask v_ge(vec a, vec b) { return V_COMPARE(a, b, _CMP_GE_OQ); }
static inline mask v_eq(vec a, vec b) { return V_COMPARE(a, b, _CMP_EQ_OQ); }
static inline vec v_select(mask m, vec a, vec b) { return V(mask_blend)(m, b, a); }
static inline vec v_clear(mask m, vec a) { return V(maskz_mov)((mask)~m, a); }
static inline vec v_by_sign(vec x, vec a, vec b) { return v_select(v_lt(x, v_zero()), a, b); }
static inline int v_all_finite(vec a) { return v_lt(v_abs(a), V(set1)((real)INFINITY)) == ALL_LANES; }

static inline vec v_round(vec a) { return V(roundscale)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec v_pow2(vec n) { return V(scalef)(V(set1)(1), n); }
static inline vec v_scale(vec x, vec n) { return V(scalef)(x, n); }
static inline vec v_scale_down(vec x, vec n) { return V(scalef)(x, n); }
static inline vec v_power_down(vec n) { return V(scalef)(V(set1)(1), n); }
static inline void v_split(vec x, vec *m, vec *e) {
    vec from_1_to_2 = V(getmant)(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), exponent = V(getexp)(x);
    mask large = v_ge(from_1_to_2, V(set1)(TWICE_SQRT_HALF));
    *m = V(mask_mul)(from_1_to_2, large, from_1_to_2, V(set1)((real)0.5));
    *e = V(mask_add)(exponent, large, exponent, V(set1)(1));
}

static inline void v_transpose(real *dst, size_t ld_dst, const real *src, size_t ld_src) {
    vec r[LANES], t[LANES];
    for (size_t i = 0; i < LANES; i++) r[i] = v_load(src + i * ld_src);
#if REAL_IS_DOUBLE
    for (size_t i = 0; i < 8; i += 2) { /* pairs of rows: t[i + j] holds columns j, j + 2, j + 4, j + 6 */
        t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
    }
    for (size_t j = 0; j < 2; j++) /* fours, then eights, of 128-bit pieces */
        for (size_t i = 0; i < 8; i += 4) {
            r[i + j] = _mm512_shuffle_f64x2(t[i + j], t[i + j + 2], 0x88);     /* columns j and j + 4 */
            r[i + j + 2] = _mm512_shuffle_f64x2(t[i + j], t[i + j + 2], 0xdd); /* columns j + 2 and j + 6 */
        }
    for (size_t j = 0; j < 4; j++) {
        v_store(dst + j * ld_dst, _mm512_shuffle_f64x2(r[j], r[j + 4], 0x88));
        v_store(dst + (j + 4) * ld_dst, _mm512_shuffle_f64x2(r[j], r[j + 4], 0xdd));
    }
#else
    for (size_t i = 0; i < 16; i += 2) { /* pairs of rows */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) { /* fours: r[i + j] holds columns j, j + 4, j + 8, j + 12 */
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 16; i += 8) { /* eights, then sixteens, of 128-bit pieces */
            t[i + j] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0x88);     /* columns j and j + 8 */
            t[i + j + 4] = _mm512_shuffle_f32x4(r[i + j], r[i + j + 4], 0xdd); /* columns j + 4 and j + 12 */
        }
    for (size_t j = 0; j < 8; j++) {
        v_store(dst + j * ld_dst, _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88));
        v_store(dst + (j + 8) * ld_dst, _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd));
    }
#endif
}

#define FOLD(shuffle, a, b, low, high) v_add(shuffle(a, b, low), shuffle(a, b, high))
static inline vec v_totals(const vec *rows) { /* 128-bit pieces first: rows that share one are a piece's lanes apart */
#if REAL_IS_DOUBLE
    vec s[2];
    for (size_t i = 0; i < 2; i++) {
        vec upper = FOLD(_mm512_shuffle_f64x2, rows[i], rows[2 + i], 0x44, 0xee);
        vec lower = FOLD(_mm512_shuffle_f64x2, rows[4 + i], rows[6 + i], 0x44, 0xee);
        s[i] = FOLD(_mm512_shuffle_f64x2, upper, lower, 0x88, 0xdd);
    }
    return FOLD(_mm512_shuffle_pd, s[0], s[1], 0x00, 0xff);
#else
    vec s[4];
    for (size_t i = 0; i < 4; i++) {
        vec upper = FOLD(_mm512_shuffle_f32x4, rows[i], rows[4 + i], 0x44, 0xee);
        vec lower = FOLD(_mm512_shuffle_f32x4, rows[8 + i], rows[12 + i], 0x44, 0xee);
        s[i] = FOLD(_mm512_shuffle_f32x4, upper, lower, 0x88, 0xdd);
    }
    vec even = FOLD(_mm512_shuffle_ps, s[0], s[1], 0x44, 0xee), odd = FOLD(_mm512_shuffle_ps, s[2], s[3], 0x44, 0xee);
    return FOLD(_mm512_shuffle_ps, even, odd, 0x88, 0xdd);
#endif
}

#endif
