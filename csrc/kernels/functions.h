/* functions.h: exponential, logarithm and what networks build on them, on the vectors of a vector_*.h included before.
 * No branches, no tables. NaN gives NaN, infinities give the limits, results underflow gradually. It knows nothing of
 * layers: activations.h and the losses do.
 *
 * The coefficients are minimax polynomials: Remez exchange at 50 digits, the leading coefficients rounded to the type one
 * after the other and the rest fitted again. Errors after their names are those of the polynomials alone; the whole
 * functions are within the bounds that stand with each of them, in units in the last place (ulp) of the exact result. A
 * machine without FMA stays within the same bounds. */
#ifndef MLP_FUNCTIONS_H
#define MLP_FUNCTIONS_H

#if REAL_IS_DOUBLE
#define EXP_LOWEST (-746.0) /* exp rounds to 0 below, to infinity above */
#define EXP_HIGHEST 710.0
#define TAIL_LOWEST 760.0 /* a exp(-a) rounds to 0 above, by a margin that mish uses up */
#define LN2_HIGH 0x1.62e42fefa38p-1 /* its product with an exponent is exact */
#define LN2_LOW 0x1.ef35793c7673p-45
#define NORMAL_HIGHEST 39.0 /* exp(-a^2 / 2) rounds to 0 from here on */
#define NORMAL_STEP 0x1p-20 /* multiples of it up to there have exact squares */
#define TAIL_CENTER 5.0
#else
#define EXP_LOWEST (-104.0f)
#define EXP_HIGHEST 89.0f
#define TAIL_LOWEST 110.0f
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define NORMAL_HIGHEST 15.0f
#define NORMAL_STEP 0x1p-8f
#define TAIL_CENTER 4.0f
#endif

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2; relative error of exp(r) - 1: 2^-59.9 and 2^-26.0. */
static const real exp_coefficients[] = {
#if REAL_IS_DOUBLE
    0.5, 0.16666666666666677, 0.041666666666666685, 0.0083333333333218337, 0.001388888888889572,
    0.00019841269885131736, 2.4801587267763277e-05, 2.7557245457074103e-06, 2.7557345991859254e-07,
    2.5108543024051894e-08, 2.0886392276003081e-09
#else
    0.5f, 0.166665316f, 0.0416661724f, 0.00836798456f, 0.0013971054f
#endif
};

/* (log((1 + s) / (1 - s)) / s - 2) / s^2 in s^2, for |s| <= 0.1716; error relative to the logarithm: 2^-59 and 2^-30. */
static const real log_coefficients[] = {
#if REAL_IS_DOUBLE
    0.6666666666666734, 0.3999999999941648, 0.28571428742088462, 0.22222198596784937, 0.18183563374838946,
    0.15314069331724117, 0.14795807444704834
#else
    0.666667759f, 0.399775803f, 0.298710108f
#endif
};

/* (a + c) exp(a^2 / 2) Phi(-a) in (a - c) / (a + c), c = TAIL_CENTER, 0 <= a <= NORMAL_HIGHEST; relative error 2^-54.6
 * and 2^-25.5. The argument is Shepherd and Laframboise's, Mathematics of Computation 36 (1981), 249-253. */
static const real tail_coefficients[] = {
#if REAL_IS_DOUBLE
    0.76919304975006297, -0.66538250289005652, 0.49530561596997169, -0.3135331566713187, 0.16502036617061785,
    -0.069118638705971291, 0.020795066795500788, -0.0029933767746950584, -0.00079786935695908879,
    0.00054489909755792035, -5.9375953157907013e-05, -4.9762987585958313e-05, 1.6681954582777727e-05,
    3.9815159452052052e-06, -2.7707575277463394e-06, -3.3802543586683602e-07, 4.348820522700265e-07,
    4.4271339663463079e-08, -6.6910539721016737e-08, -1.0888536122357205e-08, 7.6782264636749031e-09,
    2.2815870241132132e-09
#else
    0.755285144f, -0.607896566f, 0.387136251f, -0.186523765f, 0.0604111888f, -0.00752230873f, -0.00353903999f,
    0.00155529031f, 0.00020957776f, -0.000109559354f
#endif
};

#define POLYNOMIAL(x, coefficients) v_polynomial(x, coefficients, (int)(sizeof(coefficients) / sizeof(real)))

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), n >= 2. Even and odd powers have a chain each, half as long as one would be. */
static inline vec v_polynomial(vec x, const real *c, int n) {
    vec x2 = v_mul(x, x), upper = v_set1(c[n - 1]), lower = v_set1(c[n - 2]);
    int i = n - 3;
    for (; i >= 1; i -= 2) {
        upper = v_fma(upper, x2, v_set1(c[i]));
        lower = v_fma(lower, x2, v_set1(c[i - 1]));
    }
    return i == 0 ? v_fma(v_fma(upper, x, lower), x, v_set1(c[0])) : v_fma(upper, x, lower);
}

/* ---- Exponentials. exp(x) = exp(r) 2^n with n whole and |r| <= ln(2) / 2: where a factor goes with it, it goes before
 * the 2^n, so that the product underflows no earlier than it must. */

static inline vec exp_exponent(vec x) { return v_round(v_mul(x, v_set1((real)1.4426950408889634))); }
static inline vec exp_rest(vec x, vec n) { /* r */
    return v_nfma(n, v_set1(LN2_LOW), v_nfma(n, v_set1(LN2_HIGH), x));
}
static inline vec expm1_rest(vec r) { return v_fma(v_mul(r, r), POLYNOMIAL(r, exp_coefficients), r); }

/* exp(r) in [0.7, 1.42], and n. For |x| <= 2 EXP_HIGHEST, or NaN. */
static inline vec exp_parts(vec x, vec *n) {
    *n = exp_exponent(x);
    return v_add(v_set1(1), expm1_rest(exp_rest(x, *n)));
}

static inline vec f_exp(vec x) { /* 1 ulp */
    vec n, p = exp_parts(v_min(v_set1(EXP_HIGHEST), v_max(v_set1(EXP_LOWEST), x)), &n);
    return v_scale(p, n);
}

static inline vec f_expm1(vec x) { /* 2 ulp */
    vec within = v_min(v_set1(EXP_HIGHEST), v_max(v_set1(-50), x)), n = exp_exponent(within);
    vec half = v_pow2(v_sub(n, v_set1(1))); /* 2^n may not exist where the result does */
    vec result = v_fma(half, expm1_rest(exp_rest(within, n)), v_sub(half, v_set1((real)0.5)));
    return v_select(v_lt(v_abs(x), v_set1((real)0x1p-60)), x, v_add(result, result)); /* the sign of 0, subnormals */
}

/* ---- Logarithms. log(w) = e log(2) + log(1 + f), and with s = f / (2 + f) log(1 + f) = f - f^2/2 + s (f^2/2 + R(s)):
 * the scheme of Sun's fdlibm. */

static inline vec log_sum(vec f, vec e, vec correction) { /* e log(2) + log(1 + f) + correction, which is small */
    vec s = v_div(f, v_add(v_set1(2), f)), s2 = v_mul(s, s), half_f2 = v_mul(v_mul(v_set1((real)0.5), f), f);
    vec r = v_fma(s2, POLYNOMIAL(s2, log_coefficients), half_f2);
    vec low = v_fma(s, r, v_fma(e, v_set1(LN2_LOW), correction));
    return v_sub(v_mul(e, v_set1(LN2_HIGH)), v_sub(v_sub(half_f2, low), f));
}
static inline vec log_limits(vec w, vec log_w) {
    vec outside = v_select(v_eq(w, v_zero()), v_set1((real)-INFINITY), v_set1((real)NAN));
    return v_select(v_gt(w, v_zero()), v_select(v_lt(w, v_set1((real)INFINITY)), log_w, w), outside);
}

static inline vec f_log(vec x) { /* 1 ulp */
    vec m, e;
    v_split(x, &m, &e);
    return log_limits(x, log_sum(v_sub(m, v_set1(1)), e, v_zero()));
}

static inline vec log1p_finite(vec u) { /* -1 < u < infinity, or NaN */
    vec m, e, one = v_set1(1), w = v_add(one, u), part = v_sub(w, one);
    vec lost = v_add(v_sub(one, v_sub(w, part)), v_sub(u, part)); /* w + lost = 1 + u */
    v_split(w, &m, &e);
    mask near = v_eq(e, v_zero());
    return log_sum(v_select(near, u, v_sub(m, one)), e, v_select(near, v_zero(), v_div(lost, w)));
}
static inline vec f_log1p(vec u) { /* 1 ulp; -infinity at -1, NaN below */
    return log_limits(v_add(v_set1(1), u), log1p_finite(u));
}

/* ---- Built on them. */

static inline vec f_sigmoid(vec x) { /* 2 ulp */
    vec e = f_exp(v_neg(v_abs(x))), one = v_set1(1);
    return v_div(v_select(v_lt(x, v_zero()), e, one), v_add(one, e));
}

static inline vec f_tanh(vec x) { /* 2 ulp */
    vec magnitude = v_abs(x), t = f_expm1(v_mul(v_set1(-2), magnitude));
    return v_copysign(v_div(t, v_add(v_set1(2), t)), x);
}

static inline vec f_softplus(vec x) { /* log(1 + exp(x)), 2 ulp */
    return v_add(v_max(x, v_zero()), log1p_finite(f_exp(v_neg(v_abs(x)))));
}

/* log(cosh(d)), 4 ulp. Both forms go through one log1p: near 0 that of cosh(d) - 1 = (1 - exp(-|d|))^2 exp(|d|) / 2,
 * elsewhere |d| - log(2) + log1p(exp(-2 |d|)). */
static inline vec f_log_cosh(vec d) {
    vec a = v_abs(d), t = f_expm1(v_neg(a)), e = v_add(v_set1(1), t);
    mask near = v_lt(a, v_set1(1));
    vec u = v_select(near, v_div(v_mul(t, t), v_add(e, e)), v_mul(e, e));
    return v_add(v_select(near, v_zero(), v_sub(a, v_set1((real)0.69314718055994531))), log1p_finite(u));
}

/* ---- The normal distribution. exp(-a^2 / 2) for 0 <= a <= NORMAL_HIGHEST (or NaN) as its two parts. a^2 must not be
 * rounded: a = h + l with h^2 exact, a^2 / 2 = h^2 / 2 + l (a + h) / 2. */
static inline vec normal_parts(vec a, vec *n) {
    vec h = v_mul(v_round(v_mul(a, v_set1(1 / NORMAL_STEP))), v_set1(NORMAL_STEP));
    vec main = v_mul(v_mul(v_set1((real)-0.5), h), h);
    vec rest = v_mul(v_mul(v_set1((real)-0.5), v_sub(a, h)), v_add(a, h));
    *n = exp_exponent(v_add(main, rest));
    return v_add(v_set1(1), expm1_rest(v_add(exp_rest(main, *n), rest)));
}
/* exp(a^2 / 2) Phi(-a) for the same a. */
static inline vec normal_tail_ratio(vec a) {
    vec inverse = v_div(v_set1(1), v_add(a, v_set1(TAIL_CENTER)));
    return v_mul(POLYNOMIAL(v_mul(v_sub(a, v_set1(TAIL_CENTER)), inverse), tail_coefficients), inverse);
}

static inline vec f_phi_cdf(vec x) { /* Phi(x) = erfc(-x / sqrt(2)) / 2, 4 ulp, in the negative tail too */
    vec n, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(x)), p = normal_parts(a, &n);
    vec tail = v_scale(v_mul(p, normal_tail_ratio(a)), n);
    return v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1), tail));
}

static inline vec f_phi_pdf(vec x) { /* exp(-x^2 / 2) / sqrt(2 pi), 2 ulp */
    vec n, p = normal_parts(v_min(v_set1(NORMAL_HIGHEST), v_abs(x)), &n);
    return v_scale(v_mul(p, v_set1((real)0.39894228040143268)), n);
}

#endif
