/* functions.h: exponential, logarithm and what networks build on them, on the vectors of a vector_*.h included before.
 * No branches, no tables. NaN gives NaN, infinities give the limits, results underflow gradually. It knows nothing of
 * layers: activations.h and the losses do.
 *
 * The polynomials are minimax: Remez exchange at 50 digits, then the roundings of the coefficients chosen together. The
 * errors with them, for double and float, are what they alone add to a result, relative to it. The whole functions stay
 * within the bounds that stand with each, in units in the last place (ulp) of the exact result, with FMA or without.
 * Most are bound by the units that multiply: divisions beside them cost little, and so do additions. */
#ifndef MLP_FUNCTIONS_H
#define MLP_FUNCTIONS_H

#if REAL_IS_DOUBLE
#define EXP_HIGHEST 710.0           /* exp(a) rounds to infinity from here on */
#define DECAY_HIGHEST 760.0         /* a exp(-a) rounds to 0 from here on */
#define EXPM1_LOWEST (-50.0)        /* expm1 rounds to -1 below */
#define LN2_HIGH 0x1.62e42fefa38p-1 /* its product with an exponent is exact */
#define LN2_LOW 0x1.ef35793c7673p-45
#define NORMAL_HIGHEST 39.0 /* exp(-a^2 / 2) rounds to 0 from here on */
#else
#define EXP_HIGHEST 89.0f
#define DECAY_HIGHEST 110.0f
#define EXPM1_LOWEST (-50.0f)
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define NORMAL_HIGHEST 15.0f
#endif
#define ROOT_1_2PI 0.39894228040143268 /* 1 / sqrt(2 pi) */
#define TAIL_CENTER ((real)3.74609375) /* its inverse, too, hardly needs to be rounded */

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2: 2^-55.5 and 2^-26.1 of exp(r) - 1. */
static const real exp_coefficients[] = {
#if REAL_IS_DOUBLE
    0.5000000000000006,     0.16666666666666594,    0.04166666666657377,   0.008333333333386195,
    0.0013888888932311382,  0.00019841269727283585, 2.480150453579583e-05, 2.755739944235724e-06,
    2.7626289609743127e-07, 2.5056518184452005e-08
#else
    0.49999997f, 0.166665435f, 0.0416674986f, 0.00836653356f, 0.00138648727f
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

/* (log(1 + e) - e) / e^2 in e - 1/2 for 0 <= e <= 1: 2^-56.0 and 2^-27.0 of log(1 + e). */
static const real log1p_coefficients[] = {
#if REAL_IS_DOUBLE
    -0.37813956756734246,   0.17922493693603717,    -0.0932303663636716,
    0.051083446105405154,   -0.028943183164202812,  0.016788742490860244,
    -0.009909900774998617,  0.005929011576728919,   -0.003585664612738758,
    0.0021876472578002183,  -0.001344533053258215,  0.0008313467691988409,
    -0.0005165259714734171, 0.00032343968850632136, -0.00020493341973243685,
    0.00012555758350642833, -7.096605057775424e-05, 5.250195219073605e-05,
    -5.124028809267472e-05, 2.555791604095059e-05
#else
    -0.378139555f, 0.179224879f,   -0.0932320505f, 0.0510894656f,  -0.0289028212f,
    0.0166522153f, -0.0101839388f, 0.00694563333f, -0.00332065602f
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

/* (f - c / 2) / w + 2 in 2 w - 1, with f = (a + c) exp(a^2 / 2) Phi(-a), w = a / (a + c), c = TAIL_CENTER, for a from 0
 * to NORMAL_HIGHEST: 2^-55.4 and 2^-25.7 of f. The argument is that of Shepherd and Laframboise, Mathematics of
 * Computation 36 (1981), 249-253; this c needs the fewest terms. */
static const real tail_coefficients[] = {
#if REAL_IS_DOUBLE
    -0.24567468133926246,   1.0699575182341226,      -0.36519816281097389,   0.063269110359185615,
    0.011033772714070593,   -0.0084778459767064582,  0.00015970942358365894, 0.0010252003973429233,
    -7.9944361353068499e-5, -0.00014920158399608823, 7.7229743236664029e-6,  2.5420125881878313e-5,
    1.4147863346807538e-6,  -4.4877130452450534e-6,  -1.0566215571700098e-6, 6.8479474139106439e-7,
    3.6943005842661708e-7,  -5.5815326142652318e-8,  -8.6627928072487204e-8, -8.9543844728761526e-9,
    1.0938510098225548e-8,  3.0380841997258566e-9
#else
    -0.245674685f,   1.06995785f,    -0.365198612f,  0.0632609054f, 0.0110448385f,
    -0.00842339918f, 0.00010368973f, 0.000881486398f
#endif
};

#define COUNT(coefficients) ((int)(sizeof(coefficients) / sizeof(real)))
#define POLYNOMIAL(x, coefficients) v_polynomial(x, coefficients, COUNT(coefficients))

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), n >= 3. What follows c[0] goes by pairs of powers, in x^2: half the latency for
 * one multiplication. */
static inline vec v_polynomial(vec x, const real *c, int n) {
    int i = n - 1 - n % 2;
    vec sum = n % 2 == 0 ? v_set1(c[i]) : v_fma(v_set1(c[i + 1]), x, v_set1(c[i])), x2 = v_mul(x, x);
    for (i -= 2; i >= 1; i -= 2) {
        sum = v_fma(sum, x2, v_fma(v_set1(c[i + 1]), x, v_set1(c[i])));
    }
    return v_fma(sum, x, v_set1(c[0]));
}

/* ---- Exponentials. exp(x) = exp(r) 2^n with n whole and |r| <= ln(2) / 2. */

static inline vec exp_exponent(vec x) { return v_round(v_mul(x, v_set1((real)1.4426950408889634))); }
static inline vec exp_high(vec x, vec n) { return v_nfma(n, v_set1(LN2_HIGH), x); } /* exact; r is this - n LN2_LOW */
static inline vec exp_rest(vec x, vec n) { return v_nfma(n, v_set1(LN2_LOW), exp_high(x, n)); }
static inline vec expm1_of_rest(vec r) { return v_fma(POLYNOMIAL(r, exp_coefficients), v_mul(r, r), r); }
static inline vec exp_of_rest(vec r) { return v_add(v_set1(1), expm1_of_rest(r)); }
/* factor exp(x), x <= 0, where m = expm1_of_rest(r): rounded once, and underflows no earlier than it must. */
static inline vec exp_times(vec factor, vec m, vec n) { return v_scale_down(v_fma(factor, m, factor), n); }
/* a b exp(x): the product's own rounding hardly counts, as m is small. */
static inline vec exp_times_product(vec a, vec b, vec m, vec n) {
    return v_scale_down(v_fused(a, b, v_mul(v_mul(a, b), m)), n);
}

static inline vec f_exp(vec x) { /* 1.25 ulp */
    vec within = v_min(v_set1(EXP_HIGHEST), v_max(v_set1(-DECAY_HIGHEST), x)), n = exp_exponent(within);
    return v_scale(exp_of_rest(exp_rest(within, n)), n);
}

/* e = exp(-|x|), as f_exp, and 1 + e, which does not wait for it. */
static inline vec decay_and_sum(vec x, vec *sum) {
    vec within = v_max(v_set1(-DECAY_HIGHEST), v_minus_abs(x)), n = exp_exponent(within);
    vec m = expm1_of_rest(exp_rest(within, n)), power = v_power_down(n);
    *sum = v_fma(m, power, v_add(v_set1(1), power));
    return v_fma(m, power, power);
}

static inline vec f_decay(vec x) {
    vec sum;
    return decay_and_sum(x, &sum);
}

static inline vec f_expm1(vec x) { /* 1.5 ulp; r as high - low, because the 1 cancels */
    vec within = v_min(v_set1(EXP_HIGHEST), v_max(v_set1(EXPM1_LOWEST), x)), n = exp_exponent(within);
    vec high = exp_high(within, n), low = v_mul(n, v_set1(LN2_LOW)), r = v_sub(high, low);
    vec tail = v_fma(POLYNOMIAL(r, exp_coefficients), v_mul(r, r), v_neg(low)); /* exp(r) - 1 - high */
    vec half = v_pow2(v_sub(n, v_set1(1))); /* 2^n may not exist where exp(x) does */
    vec result = v_fma(half, tail, v_fma(half, high, v_sub(half, v_set1((real)0.5))));
    return v_select(v_lt(v_abs(x), v_set1((real)0x1p-60)), x, v_add(result, result)); /* the sign of 0, subnormals */
}

/* ---- Logarithms. */

/* log(m 2^e) = e log(2) + log(1 + f), and with s = f / (2 + f) log(1 + f) = f - f^2/2 + s (f^2/2 + R(s)): the scheme of
 * Sun's fdlibm. */
static inline vec f_log(vec x) { /* 1 ulp */
    vec m, e;
    v_split(x, &m, &e);
    vec f = v_sub(m, v_set1(1)), s = v_div(f, v_add(v_set1(2), f)), s2 = v_mul(s, s);
    vec half_f2 = v_mul(v_mul(v_set1((real)0.5), f), f), r = v_fma(s2, POLYNOMIAL(s2, log_coefficients), half_f2);
    vec low = v_fma(s, r, v_mul(e, v_set1(LN2_LOW)));
    vec finite = v_sub(v_mul(e, v_set1(LN2_HIGH)), v_sub(v_sub(half_f2, low), f));
    vec outside = v_select(v_eq(x, v_zero()), v_set1((real)-INFINITY), v_set1((real)NAN));
    return v_select(v_gt(x, v_zero()), v_select(v_lt(x, v_set1((real)INFINITY)), finite, x), outside);
}

static inline vec log1p_unit(vec e) { /* log(1 + e) for e from 0 to 1, 1.5 ulp */
    return v_fma(v_mul(e, POLYNOMIAL(v_sub(e, v_set1((real)0.5)), log1p_coefficients)), e, e);
}

/* ---- Built on them. */

/* 1 / (1 + e) or e / (1 + e), e = exp(-|x|), as a (1 - e / (1 + e)): the smaller e, the less the roundings of sum and
 * quotient count. */
static inline vec f_sigmoid(vec x) { /* 2 ulp */
    vec sum, e = decay_and_sum(x, &sum), a = v_by_sign(x, e, v_set1(1));
    return v_nfma(a, v_div(e, sum), a);
}

/* t = tanh(|x|) is h / d with h = (1 - e) / 2, which loses nothing near zero, d = (1 + e) / 2 and e = exp(-2 |x|). Then
 * t = h + h t: where t is small, the roundings of the quotient count t-fold. */
static inline vec f_tanh(vec x) { /* 2 ulp */
    vec minus_a = v_minus_abs(x), within = v_max(v_set1(EXPM1_LOWEST), v_add(minus_a, minus_a));
    vec n = exp_exponent(within), m = expm1_of_rest(exp_rest(within, n)), half = v_set1((real)0.5);
    vec power = v_pow2(v_sub(n, v_set1(1))); /* half of 2^n */
    vec h = v_nfma(m, power, v_sub(half, power)), d = v_fma(m, power, v_add(half, power));
    return v_copysign(v_fma(h, v_div(h, d), h), x);
}

static inline vec f_softplus(vec x) {
    return v_add(v_max(x, v_zero()), log1p_unit(f_decay(x)));
} /* log(1 + exp(x)), 2 ulp */

static inline vec f_log_cosh(vec d) { /* log(cosh(d)), 2 ulp */
    vec a = v_abs(d), a2 = v_mul(a, a);
    vec near_zero = v_mul(v_fma(a2, POLYNOMIAL(a2, log_cosh_coefficients), v_set1((real)0.5)), a2);
    vec elsewhere = v_add(v_sub(a, v_set1((real)0.69314718055994531)), log1p_unit(f_decay(v_add(a, a))));
    return v_select(v_lt(a, v_set1(1)), near_zero, elsewhere);
}

/* ---- The normal distribution, for a from 0 to NORMAL_HIGHEST, or NaN: Phi(-a) = exp(-a^2 / 2) f / (a + c). */

/* m and n of exp(-a^2 / 2). What the product lost to rounding counts. */
static inline vec normal_parts(vec a, vec *n) {
    vec b = v_mul(v_set1((real)-0.5), a), x = v_mul(a, b);
    *n = exp_exponent(x);
    return expm1_of_rest(v_add(exp_high(x, *n), v_nfma(*n, v_set1(LN2_LOW), v_fused(a, b, v_neg(x)))));
}
/* f, and w = a / (a + c), whose roundings count less where a is small. 2 w is taken from c / 2 first: no term is large
 * where f is small. */
static inline vec normal_tail(vec a, vec *w) {
    *w = v_div(a, v_add(a, v_set1(TAIL_CENTER)));
    vec twice = v_add(*w, *w), t = v_sub(twice, v_set1(1)), linear = v_sub(v_set1(TAIL_CENTER / 2), twice);
    return v_fused(*w, POLYNOMIAL(t, tail_coefficients), linear);
}

#endif
