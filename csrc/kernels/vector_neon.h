/* vector_neon.h: the vector interface of vector_generic.h (which documents it) for NEON as every 64-bit Arm has it:
 * 4 floats or 2 doubles. Results have the same bits as those of vector_avx2.h. */
#ifndef MLP_VECTOR_H
#define MLP_VECTOR_H

#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if REAL_IS_DOUBLE
typedef double real;
typedef float64x2_t vec;
typedef uint64x2_t mask; /* all bits of a lane set, or none */
typedef int64x2_t real_bits;
#define LANES 2
#define V(operation) v##operation##_f64
#define VI(operation) v##operation##_s64
#define V_BITS vreinterpretq_s64_f64
#define V_FROM_BITS vreinterpretq_f64_s64
#define V_FROM_INTEGER vcvtq_f64_s64
#define V_SIGN vdupq_n_u64(UINT64_C(1) << 63)
#define V_SMALLEST_LANE(m) vminvq_u32(vreinterpretq_u32_u64(m))
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define SCALE_UP 768
#define SCALED_BACK 0x1p-768
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdLL
#define TWO_TO_MANTISSA 0x1p52
#else
typedef float real;
typedef float32x4_t vec;
typedef uint32x4_t mask;
typedef int32x4_t real_bits;
#define LANES 4
#define V(operation) v##operation##_f32
#define VI(operation) v##operation##_s32
#define V_BITS vreinterpretq_s32_f32
#define V_FROM_BITS vreinterpretq_f32_s32
#define V_FROM_INTEGER vcvtq_f32_s32
#define V_SIGN vdupq_n_u32(UINT32_C(1) << 31)
#define V_SMALLEST_LANE(m) vminvq_u32(m)
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SMALLEST_NORMAL 0x1p-126f
#define SCALE_UP 96
#define SCALED_BACK 0x1p-96f
#define SQRT_HALF_BITS 0x3f3504f3
#define TWO_TO_MANTISSA 0x1p23f
#endif

#define TILE_ROWS 6
#define TILE_VECTORS 4
#define TILE_STEPS 1

static inline vec v_load(const real *p) { return V(ld1q)(p); }
static inline void v_store(real *p, vec v) { V(st1q)(p, v); }
static inline vec v_set1(real x) { return V(dupq_n)(x); }
static inline vec v_zero(void) { return v_set1(0); }
static inline vec v_held(vec v) {
    __asm__("" : "+w"(v));
    return v;
}

/* There are no masked loads and stores: lane by lane where not all of them are wanted. */
static inline vec v_load_n(const real *p, size_t n) {
    if (n >= LANES) return v_load(p);
    vec v = V(ld1q_lane)(p, v_zero(), 0);
#if !REAL_IS_DOUBLE
    if (n > 1) v = V(ld1q_lane)(p + 1, v, 1);
    if (n > 2) v = V(ld1q_lane)(p + 2, v, 2);
#endif
    return v;
}
static inline void v_store_n(real *p, vec v, size_t n) {
    if (n >= LANES) {
        v_store(p, v);
        return;
    }
    V(st1q_lane)(p, v, 0);
#if !REAL_IS_DOUBLE
    if (n > 1) V(st1q_lane)(p + 1, v, 1);
    if (n > 2) V(st1q_lane)(p + 2, v, 2);
#endif
}

/* Lane i in all lanes. */
static inline vec v_spread(vec v, size_t i) {
    real lanes[LANES];
    v_store(lanes, v);
    return v_set1(lanes[i]);
}

static inline void v_to_double(vec x, double *out) {
#if REAL_IS_DOUBLE
    vst1q_f64(out, x);
#else
    vst1q_f64(out, vcvt_f64_f32(vget_low_f32(x)));
    vst1q_f64(out + 2, vcvt_high_f64_f32(x));
#endif
}

static inline vec v_add(vec a, vec b) { return V(addq)(a, b); }
static inline vec v_sub(vec a, vec b) { return V(subq)(a, b); }
static inline vec v_mul(vec a, vec b) { return V(mulq)(a, b); }
static inline vec v_div(vec a, vec b) { return V(divq)(a, b); }
static inline vec v_sqrt(vec a) { return V(sqrtq)(a); }
static inline vec v_fma(vec a, vec b, vec c) { return V(fmaq)(c, a, b); }
static inline vec v_accumulate(vec sum, vec a, vec b) { return v_fma(a, b, sum); }
static inline vec v_nfma(vec a, vec b, vec c) { return V(fmsq)(c, a, b); }
static inline vec v_fused(vec a, vec b, vec c) { return v_fma(a, b, c); }
static inline vec v_neg(vec a) { return V(negq)(a); }
static inline vec v_abs(vec a) { return V(absq)(a); }
static inline vec v_minus_abs(vec a) { return v_neg(v_abs(a)); }
static inline vec v_copysign(vec magnitude, vec sign) { return V(bslq)(V_SIGN, sign, magnitude); }

static inline mask v_lt(vec a, vec b) { return V(cltq)(a, b); }
static inline mask v_gt(vec a, vec b) { return V(cgtq)(a, b); }
static inline mask v_ge(vec a, vec b) { return V(cgeq)(a, b); }
static inline mask v_eq(vec a, vec b) { return V(ceqq)(a, b); }
static inline vec v_select(mask m, vec a, vec b) { return V(bslq)(m, a, b); }
static inline vec v_clear(mask m, vec a) { return v_select(m, v_zero(), a); }
static inline vec v_by_sign(vec x, vec a, vec b) { return v_select(v_lt(x, v_zero()), a, b); }
static inline int v_all_finite(vec a) { return V_SMALLEST_LANE(v_lt(v_abs(a), v_set1((real)INFINITY))) != 0; }
/* FMAX and FMIN order zeros and pass on any NaN: not what the interface says. */
static inline vec v_max(vec a, vec b) { return v_select(v_gt(a, b), a, b); }
static inline vec v_min(vec a, vec b) { return v_select(v_lt(a, b), a, b); }

static inline vec v_round(vec a) { return V(rndnq)(a); }
static inline vec v_pow2(vec n) {
    vec shifter = v_set1((real)1.5 * TWO_TO_MANTISSA + EXPONENT_BIAS);
    return V_FROM_BITS(VI(shlq_n)(V_BITS(v_add(n, shifter)), MANTISSA_BITS));
}
static inline vec v_scale(vec x, vec n) {
    vec half = v_round(v_mul(n, v_set1((real)0.5)));
    return v_mul(v_mul(x, v_pow2(half)), v_pow2(v_sub(n, half)));
}
static inline vec v_power_up(vec n) {
    vec shifter = v_set1((real)1.5 * TWO_TO_MANTISSA + (EXPONENT_BIAS + SCALE_UP));
    return V_FROM_BITS(VI(shlq_n)(V_BITS(v_add(n, shifter)), MANTISSA_BITS));
}
static inline vec v_scale_down(vec x, vec n) { return v_mul(v_mul(x, v_power_up(n)), v_set1(SCALED_BACK)); }
static inline vec v_power_down(vec n) { return v_mul(v_power_up(n), v_set1(SCALED_BACK)); }
static inline void v_split(vec x, vec *m, vec *e) {
    mask subnormal = v_lt(x, v_set1(SMALLEST_NORMAL));
    vec normal = v_select(subnormal, v_mul(x, v_set1(TWO_TO_MANTISSA)), x);
    real_bits bits = V_BITS(normal);
    real_bits exponent = VI(shrq_n)(VI(subq)(bits, VI(dupq_n)(SQRT_HALF_BITS)), MANTISSA_BITS);
    *m = V_FROM_BITS(VI(subq)(bits, VI(shlq_n)(exponent, MANTISSA_BITS)));
    *e = v_sub(V_FROM_INTEGER(exponent), v_select(subnormal, v_set1(MANTISSA_BITS), v_zero()));
}

static inline void v_transpose(real *dst, size_t ld_dst, const real *src, size_t ld_src) {
#if REAL_IS_DOUBLE
    vec r0 = v_load(src), r1 = v_load(src + ld_src);
    v_store(dst, vtrn1q_f64(r0, r1));
    v_store(dst + ld_dst, vtrn2q_f64(r0, r1));
#else
    float64x2_t t[4]; /* pairs of rows: t[i + j] holds columns j and j + 2 */
    for (size_t i = 0; i < 4; i += 2) {
        vec upper = v_load(src + i * ld_src), lower = v_load(src + (i + 1) * ld_src);
        t[i] = vreinterpretq_f64_f32(vtrn1q_f32(upper, lower));
        t[i + 1] = vreinterpretq_f64_f32(vtrn2q_f32(upper, lower));
    }
    for (size_t j = 0; j < 2; j++) {
        v_store(dst + j * ld_dst, vreinterpretq_f32_f64(vtrn1q_f64(t[j], t[j + 2])));
        v_store(dst + (j + 2) * ld_dst, vreinterpretq_f32_f64(vtrn2q_f64(t[j], t[j + 2])));
    }
#endif
}

static inline vec v_totals(const vec *rows) {
#if REAL_IS_DOUBLE
    return vpaddq_f64(rows[0], rows[1]);
#else
    vec s[2];
    for (size_t i = 0; i < 2; i++) {
        float64x2_t upper = vreinterpretq_f64_f32(rows[2 * i]), lower = vreinterpretq_f64_f32(rows[2 * i + 1]);
        s[i] = v_add(vreinterpretq_f32_f64(vtrn1q_f64(upper, lower)), vreinterpretq_f32_f64(vtrn2q_f64(upper, lower)));
    }
    return vpaddq_f32(s[0], s[1]);
#endif
}

#endif
