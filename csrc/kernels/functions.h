/* functions.h: exponential, logarithm and what networks build on them, on the vectors of a vector_*.h included before.
 * No branches, no tables. NaN gives NaN, infinities give the limits, results underflow gradually. It knows nothing of
 * layers: activations.h and the losses do.
 *
 * The polynomials are minimax: Remez exchange at 50 digits, then the roundings of the coefficients chosen together. The
 * errors with them, for double and float, are what they alone add to a result, relative to it. The whole functions stay
 * within the bounds that stand with each, in units in the last place (ulp) of the exact result, with FMA or without. */
#ifndef MLP_FUNCTIONS_H
#define MLP_FUNCTIONS_H

#if REAL_IS_DOUBLE
#define EXP_LOWEST (-746.0) /* exp rounds to 0 below, to infinity above */
#define EXP_HIGHEST 710.0
#define DECAY_HIGHEST 760.0         /* a exp(-a) rounds to 0 from here on */
#define LN2_HIGH 0x1.62e42fefa38p-1 /* its product with an exponent is exact */
#define LN2_LOW 0x1.ef35793c7673p-45
#define NORMAL_HIGHEST 39.0  /* exp(-a^2 / 2) rounds to 0 from here on */
#define NORMAL_STEP 0x1p-20  /* multiples of it up to there have exact squares */
#define INVERSE_STEP 0x1p-30 /* such a multiple times a multiple of this one near its inverse is exact */
#define TAIL_CENTER 4.0
#else
#define EXP_LOWEST (-104.0f)
#define EXP_HIGHEST 89.0f
#define DECAY_HIGHEST 110.0f
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define NORMAL_HIGHEST 15.0f
#define NORMAL_STEP 0x1p-8f
#define INVERSE_STEP 0x1p-14f
#define TAIL_CENTER 4.0f
#endif
#define ROOT_1_2PI 0.39894228040143268 /* 1 / sqrt(2 pi) */

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2: 2^-59.9 and 2^-26.0 of exp(r) - 1. */
static const real exp_coefficients[] = {
#if REAL_IS_DOUBLE
    0.5,
    0.16666666666666677,
    0.041666666666666685,
    0.0083333333333218337,
    0.001388888888889572,
    0.00019841269885131736,
    2.4801587267763277e-05,
    2.7557245457074103e-06,
    2.7557345991859254e-07,
    2.5108543024051894e-08,
    2.0886392276003081e-09
#else
    0.5f, 0.166665316f, 0.0416661724f, 0.00836798456f, 0.0013971054f
#endif
};

/* (log((1 + s) / (1 - s)) / s - 2) / s^2 in s^2 for |s| <= 0.1716: 2^-59 and 2^-30. */
static const real log_coefficients[] = {
#if REAL_IS_DOUBLE
    0.6666666666666734,  0.3999999999941648,  0.28571428742088462, 0.22222198596784937,
    0.18183563374838946, 0.15314069331724117, 0.14795807444704834
#else
    0.666667759f, 0.399775803f, 0.298710108f
#endif
};

/* (tanh(x) / x - 1) / x^2 in x^2 for |x| <= 0.5494: 2^-55.1 and 2^-27.6. */
static const real tanh_coefficients[] = {
#if REAL_IS_DOUBLE
    -0.33333333333332332,    0.13333333333171682,   -0.053968253877549985,  0.021869486010254031,
    -0.0088631949849963063,  0.0035917236195152588, -0.0014532363824620452, 0.00057919597912843839,
    -0.00021039997545312954, 5.1089818303886198e-05
#else
    -0.333333164f, 0.13332592f, -0.0538529865f, 0.0210746713f, -0.00627874164f
#endif
};

/* (log(cosh(d)) / d^2 - 1/2) / d^2 in d^2 for |d| <= 1: 2^-55.1 and 2^-26.1. */
static const real log_cosh_coefficients[] = {
#if REAL_IS_DOUBLE
    -0.083333333333331927,   0.022222222222093233,   -0.0067460317418598665,  0.0021869487852213031,
    -0.00073860229355049141, 0.00025657633964257053, -9.0971195545552753e-05, 3.2722140725163086e-05,
    -1.1827895867025431e-05, 4.1927856351606978e-06, -1.3772679883545229e-06, 3.7814619588740095e-07,
    -7.3458385041349305e-08, 7.2500421395617621e-09
#else
    -0.0833330974f,   0.0222174153f,  -0.00671336567f, 0.00208227453f,
    -0.000560193206f, 8.77972052e-05f
#endif
};

/* (a + c) exp(a^2 / 2) Phi(-a) in (a - c) / (a + c), c = TAIL_CENTER, for a from 0 to NORMAL_HIGHEST: 2^-54.7 and
 * 2^-25.6. The argument is that of Shepherd and Laframboise, Mathematics of Computation 36 (1981), 249-253. */
static const real tail_coefficients[] = {
#if REAL_IS_DOUBLE
    0.75528513041575152,
    -0.60789664197189208,
    0.38713740074221475,
    -0.18652185795965864,
    0.060396574890919104,
    -0.0075401889666822002,
    -0.0034796923670072717,
    0.0016308184569620305,
    0.00013334430800360773,
    -0.00023109493054528457,
    -1.9082289587795503e-06,
    3.5144667038056335e-05,
    7.1654213074894821e-07,
    -5.9201317356363927e-06,
    -6.2935869759109903e-07,
    1.0215239261569853e-06,
    2.7121032202319098e-07,
    -1.5503056251647085e-07,
    -8.4755827091549759e-08,
    1.3459930269140239e-08,
    1.9212603307919403e-08,
    1.7513541568357844e-09,
    -2.4120301674036142e-09,
    -6.6871007729609403e-10
#else
    0.755285144f,    -0.607896566f,  0.387136251f,    -0.186523765f,   0.060411185f, -0.00752233434f,
    -0.00353905745f, 0.00155537692f, 0.000209719306f, -0.000109498957f
#endif
};

#define COUNT(coefficients) ((int)(sizeof(coefficients) / sizeof(real)))
#define POLYNOMIAL(x, coefficients) v_polynomial(x, coefficients, COUNT(coefficients))

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
 * the 2^n, so that the product underflows no earlier than it must. r is kept as high - low, x - n ln(2) to more places
 * than one real has: high is exact. */

static inline vec exp_exponent(vec x) { return v_round(v_mul(x, v_set1((real)1.4426950408889634))); }
static inline vec exp_high(vec x, vec n) { return v_nfma(n, v_set1(LN2_HIGH), x); }
static inline vec exp_low(vec n) { return v_mul(n, v_set1(LN2_LOW)); }
static inline vec exp_tail(vec high, vec low) { /* exp(r) - 1 - high */
    vec r = v_sub(high, low);
    return v_fma(v_mul(r, r), POLYNOMIAL(r, exp_coefficients), v_neg(low));
}

/* exp(r) in [0.7, 1.42], and n. For |x| <= 2 EXP_HIGHEST, or NaN. */
static inline vec exp_parts(vec x, vec *n) {
    *n = exp_exponent(x);
    vec high = exp_high(x, *n);
    return v_add(v_set1(1), v_add(high, exp_tail(high, exp_low(*n))));
}

static inline vec f_exp(vec x) { /* 1 ulp */
    vec n, p = exp_parts(v_min(v_set1(EXP_HIGHEST), v_max(v_set1(EXP_LOWEST), x)), &n);
    return v_scale(p, n);
}

static inline vec f_expm1(vec x) { /* 1.5 ulp */
    vec within = v_min(v_set1(EXP_HIGHEST), v_max(v_set1(-50), x)), n = exp_exponent(within);
    vec half = v_pow2(v_sub(n, v_set1(1))); /* 2^n may not exist where the result does */
    vec high = exp_high(within, n), sum = v_fma(half, high, v_sub(half, v_set1((real)0.5)));
    vec result = v_fma(half, exp_tail(high, exp_low(n)), sum);
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

static inline vec sigmoid_from(vec x, vec e) { /* e = exp(-|x|) */
    vec one = v_set1(1);
    return v_div(v_select(v_lt(x, v_zero()), e, one), v_add(one, e));
}

static inline vec f_sigmoid(vec x) { return sigmoid_from(x, f_exp(v_neg(v_abs(x)))); } /* 2.5 ulp */

static inline vec f_tanh(vec x) { /* 2 ulp */
    vec a = v_abs(x), a2 = v_mul(a, a), one = v_set1(1), two = v_set1(2);
    vec near_zero = v_fma(v_mul(a2, a), POLYNOMIAL(a2, tanh_coefficients), a);
    vec elsewhere = v_sub(one, v_div(two, v_add(f_exp(v_mul(two, a)), one)));
    return v_copysign(v_select(v_lt(a, v_set1((real)0.549)), near_zero, elsewhere), x);
}

static inline vec f_softplus(vec x) { /* log(1 + exp(x)), 2 ulp */
    return v_add(v_max(x, v_zero()), log1p_finite(f_exp(v_neg(v_abs(x)))));
}

static inline vec f_log_cosh(vec d) { /* log(cosh(d)), 2.5 ulp */
    vec a = v_abs(d), a2 = v_mul(a, a), zero = v_zero();
    vec near_zero = v_mul(v_fma(a2, POLYNOMIAL(a2, log_cosh_coefficients), v_set1((real)0.5)), a2);
    vec rest = log_sum(f_exp(v_mul(v_set1(-2), a)), zero, zero); /* log(1 + exp(-2 a)) */
    vec elsewhere = v_add(v_sub(a, v_set1((real)0.69314718055994531)), rest);
    return v_select(v_lt(a, v_set1(1)), near_zero, elsewhere);
}

/* ---- The normal distribution, for a from 0 to NORMAL_HIGHEST, or NaN. a^2 must not be rounded before exp, nor a + c
 * below: a = h + l with h short. */

static inline void normal_split(vec a, vec *h, vec *l) {
    *h = v_mul(v_round(v_mul(a, v_set1(1 / NORMAL_STEP))), v_set1(NORMAL_STEP));
    *l = v_sub(a, *h);
}
/* exp(-a^2 / 2) as exp_parts gives it; a^2 / 2 = h^2 / 2 + l (a + h) / 2. */
static inline vec normal_parts(vec a, vec h, vec l, vec *n) {
    vec minus_half = v_set1((real)-0.5);
    vec large = v_mul(v_mul(minus_half, h), h), rest = v_mul(v_mul(minus_half, l), v_add(a, h));
    *n = exp_exponent(v_add(large, rest));
    vec high = exp_high(large, *n);
    return v_add(v_set1(1), v_add(high, exp_tail(high, v_sub(exp_low(*n), rest))));
}
/* R(a) = exp(a^2 / 2) Phi(-a). The polynomial is taken at a place q near a where 1 / (q + c) is short, so that nothing
 * of its argument is lost; from there it is two terms of Taylor's series, R' = q R - 1 / sqrt(2 pi), R'' = q R' + R. */
static inline vec normal_ratio(vec a, vec h, vec l) {
    vec one = v_set1(1), b = v_add(h, v_set1(TAIL_CENTER));
    vec inverse = v_mul(v_round(v_div(v_set1(1 / INVERSE_STEP), b)), v_set1(INVERSE_STEP));
    vec e = v_nfma(b, inverse, one), step = v_nfma(b, v_fma(e, e, e), l);      /* a - q; 1 / inverse is b / (1 - e) */
    vec q = v_sub(a, step), t = v_nfma(v_set1(2 * TAIL_CENTER), inverse, one); /* (q - c) / (q + c) */
    vec c0 = v_set1(tail_coefficients[0]), c1 = v_set1(tail_coefficients[1]);  /* the large ones, of opposite signs */
    vec f = v_fma(v_fma(v_polynomial(t, tail_coefficients + 2, COUNT(tail_coefficients) - 2), t, c1), t, c0);
    vec r = v_mul(f, inverse);
    vec r1 = v_fma(q, r, v_set1((real)-ROOT_1_2PI)), r2 = v_fma(q, r1, r);
    return v_fma(f, inverse, v_mul(step, v_fma(v_mul(v_set1((real)0.5), step), r2, r1)));
}

static inline vec f_phi_cdf(vec x) { /* Phi(x) = erfc(-x / sqrt(2)) / 2, 4.5 ulp, in the negative tail too */
    vec h, l, n, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(x));
    normal_split(a, &h, &l);
    vec p = normal_parts(a, h, l, &n), tail = v_scale(v_mul(p, normal_ratio(a, h, l)), n);
    return v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1), tail));
}

static inline vec f_phi_pdf(vec x) { /* exp(-x^2 / 2) / sqrt(2 pi), 3 ulp */
    vec h, l, n, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(x));
    normal_split(a, &h, &l);
    vec p = normal_parts(a, h, l, &n);
    return v_scale(v_mul(p, v_set1((real)ROOT_1_2PI)), n);
}

#endif
