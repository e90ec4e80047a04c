/* activations.h: the activations, each its name, g(z) and g'. It knows nothing of layers and loops: MLP_ACTIVATIONS at
 * the end lists all there is, and tables, checks and loops are made from the list.
 *
 * To add one: g_NAME(z), d_NAME and a line of the list. Where g' can be told from a = g(z), d_NAME takes a and the list
 * says FROM_OUTPUT; else it takes z, the list says FROM_INPUT, and the forward pass keeps g'(z) in place of z. NaN in z
 * must give NaN in g(z), infinities the limits.
 *
 * The functions exist where a vector_*.h and functions.h were included before; the list stands alone. */
#ifndef MLP_ACTIVATIONS_H
#define MLP_ACTIVATIONS_H

#ifdef LANES

#define SELU_SCALE ((real)1.0507009873554804934193349852946)
#define SELU_SCALE_ALPHA ((real)1.7580993408473768599402175208123) /* times 1.6732632423543772848170429916717 */
#define LEAKY_SLOPE ((real)0.01)

static inline vec g_identity(vec z) { return z; }
static inline vec d_identity(vec a) {
    (void)a;
    return v_set1(1);
}

static inline vec g_sigmoid(vec z) { return f_sigmoid(z); }
static inline vec d_sigmoid(vec a) { return v_mul(a, v_sub(v_set1(1), a)); }

static inline vec g_tanh(vec z) { return f_tanh(z); }
static inline vec d_tanh(vec a) { return v_mul(v_sub(v_set1(1), a), v_add(v_set1(1), a)); }

static inline vec g_relu(vec z) { return v_max(v_zero(), z); }
static inline vec d_relu(vec a) { return v_select(v_gt(a, v_zero()), v_set1(1), v_zero()); }

static inline vec g_leaky_relu(vec z) { return v_select(v_gt(z, v_zero()), z, v_mul(v_set1(LEAKY_SLOPE), z)); }
static inline vec d_leaky_relu(vec a) { return v_select(v_gt(a, v_zero()), v_set1(1), v_set1(LEAKY_SLOPE)); }

static inline vec g_elu(vec z) { return v_select(v_gt(z, v_zero()), z, f_expm1(z)); }
static inline vec d_elu(vec a) { return v_select(v_gt(a, v_zero()), v_set1(1), v_add(a, v_set1(1))); }

static inline vec g_selu(vec z) {
    return v_select(v_gt(z, v_zero()), v_mul(v_set1(SELU_SCALE), z), v_mul(v_set1(SELU_SCALE_ALPHA), f_expm1(z)));
}
static inline vec d_selu(vec a) {
    return v_select(v_gt(a, v_zero()), v_set1(SELU_SCALE), v_add(a, v_set1(SELU_SCALE_ALPHA)));
}

static inline vec g_softplus(vec z) { return f_softplus(z); }
static inline vec d_softplus(vec a) { return v_neg(f_expm1(v_neg(a))); } /* sigmoid(z) = 1 - exp(-a) */

static inline vec g_softsign(vec z) { /* z / (1 + |z|), z kept finite */
    vec magnitude = v_min(v_set1((real)0x1p60), v_abs(z));
    return v_copysign(v_div(magnitude, v_add(v_set1(1), magnitude)), z);
}
static inline vec d_softsign(vec a) {
    vec rest = v_sub(v_set1(1), v_abs(a));
    return v_mul(rest, rest);
}

/* gelu and silu are z F(z) with F(z) + F(-z) = 1. So, with a = |z|, g(z) = max(z, 0) - a F(-a), and g' is t = F(-a) -
 * a F'(-a) for negative z, 1 - t for positive z. In both F(-a) is a factor times exp, split as functions.h says. */
static inline vec reflected(vec z, vec t) { return v_select(v_lt(z, v_zero()), t, v_sub(v_set1(1), t)); }

static inline vec g_gelu(vec z) { /* z Phi(z): the exact one */
    vec h, l, n, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(z));
    normal_split(a, &h, &l);
    vec p = normal_parts(a, h, l, &n);
    return v_sub(v_max(z, v_zero()), v_scale(v_mul(p, v_mul(a, normal_ratio(a, h, l))), n));
}
static inline vec d_gelu(vec z) {
    vec h, l, n, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(z));
    normal_split(a, &h, &l);
    vec p = normal_parts(a, h, l, &n), factor = v_nfma(v_set1((real)ROOT_1_2PI), a, normal_ratio(a, h, l));
    return reflected(z, v_scale(v_mul(p, factor), n));
}

static inline vec g_silu(vec z) { /* z sigmoid(z) */
    vec n, a = v_min(v_set1(DECAY_HIGHEST), v_abs(z)), p = exp_parts(v_neg(a), &n);
    vec over = v_add(v_set1(1), v_scale(p, n));
    return v_sub(v_max(z, v_zero()), v_scale(v_mul(p, v_div(a, over)), n));
}
static inline vec d_silu(vec z) {
    vec n, a = v_min(v_set1(DECAY_HIGHEST), v_abs(z)), p = exp_parts(v_neg(a), &n);
    vec over = v_add(v_set1(1), v_scale(p, n));
    return reflected(z, v_scale(v_mul(p, v_div(v_sub(v_set1(1), v_div(a, over)), over)), n));
}

/* mish is z tanh(softplus(z)). With e = exp(-|z|) the tanh is e (2 + e) / (e (2 + e) + 2) for negative z, (1 + 2 e) /
 * (1 + 2 e + 2 e^2) for positive z, and its slope 4 e (1 + e) / d^2 and 4 e^2 (1 + e) / d^2, d the denominator. */
static inline vec g_mish(vec z) {
    vec one = v_set1(1), two = v_set1(2);
    vec n, a = v_min(v_set1(DECAY_HIGHEST), v_abs(z)), p = exp_parts(v_neg(a), &n), e = v_scale(p, n);
    vec above = v_fma(two, e, one); /* 1 + 2 e */
    vec positive = v_div(v_mul(z, above), v_fma(v_add(e, e), e, above));
    vec negative = v_div(v_mul(v_neg(a), v_add(two, e)), v_fma(e, v_add(two, e), two));
    return v_select(v_lt(z, v_zero()), v_scale(v_mul(p, negative), n), positive);
}
static inline vec d_mish(vec z) {
    vec one = v_set1(1), two = v_set1(2), four = v_set1(4);
    vec n, a = v_min(v_set1(DECAY_HIGHEST), v_abs(z)), p = exp_parts(v_neg(a), &n), e = v_scale(p, n);
    vec above = v_fma(two, e, one), slope = v_mul(v_mul(four, a), v_add(one, e)); /* times e or e^2, over d^2 */
    vec d_positive = v_fma(v_add(e, e), e, above), d_negative = v_fma(e, v_add(two, e), two);
    vec positive = v_div(v_add(above, v_div(v_mul(v_mul(e, e), slope), d_positive)), d_positive);
    vec negative = v_div(v_sub(v_add(two, e), v_div(slope, d_negative)), d_negative);
    return v_select(v_lt(z, v_zero()), v_scale(v_mul(p, negative), n), positive);
}

#endif /* LANES */

/* X(name, FROM_OUTPUT or FROM_INPUT); the includer says what X and the two mean. */
#define MLP_ACTIVATIONS(X)     \
    X(identity, FROM_OUTPUT)   \
    X(sigmoid, FROM_OUTPUT)    \
    X(tanh, FROM_OUTPUT)       \
    X(relu, FROM_OUTPUT)       \
    X(leaky_relu, FROM_OUTPUT) \
    X(elu, FROM_OUTPUT)        \
    X(selu, FROM_OUTPUT)       \
    X(softplus, FROM_OUTPUT)   \
    X(softsign, FROM_OUTPUT)   \
    X(gelu, FROM_INPUT)        \
    X(silu, FROM_INPUT)        \
    X(mish, FROM_INPUT)

#endif
