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
 * a F'(-a) for negative z, 1 - t for positive z. In both F(-a) is a factor times exp: exp_times. */
static inline vec reflected(vec z, vec t) { return v_select(v_lt(z, v_zero()), t, v_sub(v_set1(1), t)); }

static inline vec g_gelu(vec z) { /* z Phi(z): the exact one */
    vec n, w, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(z)), m = normal_parts(a, &n), f = normal_tail(a, &w);
    return v_sub(v_max(z, v_zero()), exp_times_product(w, f, m, n));
}
static inline vec d_gelu(vec z) {
    vec n, w, a = v_min(v_set1(NORMAL_HIGHEST), v_abs(z)), m = normal_parts(a, &n), f = normal_tail(a, &w);
    vec inverse = v_mul(v_sub(v_set1(1), w), v_set1(1 / TAIL_CENTER)); /* of a + c */
    return reflected(z, exp_times(v_nfma(v_set1((real)ROOT_1_2PI), a, v_mul(inverse, f)), m, n));
}

/* For silu and mish: m and n of exp(-a), the whole of it as e; a = |z| kept finite. */
static inline vec decay_of(vec z, vec *n, vec *e, vec *a) {
    *a = v_min(v_set1(DECAY_HIGHEST), v_abs(z));
    vec x = v_neg(*a);
    *n = exp_exponent(x);
    vec m = expm1_of_rest(exp_rest(x, *n));
    vec power = v_power_down(*n);
    *e = v_fma(m, power, power);
    return m;
}

static inline vec sigmoid_of_size(vec e) { /* sigmoid(a) = 1 - e / (1 + e) */
    vec one = v_set1(1);
    return v_sub(one, v_div(e, v_add(one, e)));
}
static inline vec g_silu(vec z) { /* z sigmoid(z) */
    vec n, e, a, m = decay_of(z, &n, &e, &a);
    return v_sub(v_max(z, v_zero()), exp_times(v_mul(a, sigmoid_of_size(e)), m, n));
}
static inline vec d_silu(vec z) {
    vec n, e, a, m = decay_of(z, &n, &e, &a), s = sigmoid_of_size(e);
    return reflected(z, exp_times(v_mul(s, v_nfma(a, s, v_set1(1))), m, n));
}

/* mish is z t, t = tanh(softplus(z)). With e = exp(-a), a = |z|, b = 1 + e, and d = 1 + b^2 for negative z, e^2 + b^2
 * for positive z, it is -a e (1 - e b / d) and a (1 - 2 e^2 / d). Its slope is e (1 - a - e (b d - a (4 b^2 + e^3)) /
 * d^2) and 1 + 2 e^2 (2 a b - d) / d^2. The corrections shrink as e does, and their roundings with them. */
static inline vec mish_denominator(vec z, vec e, vec b) {
    return v_fma(b, b, v_select(v_lt(z, v_zero()), v_set1(1), v_mul(e, e)));
}
static inline vec g_mish(vec z) {
    vec n, e, a, m = decay_of(z, &n, &e, &a), one = v_set1(1), b = v_add(one, e);
    mask negative = v_lt(z, v_zero());
    vec part = v_mul(v_mul(e, v_select(negative, b, v_add(e, e))), v_div(one, mish_denominator(z, e, b)));
    return v_sub(v_max(z, v_zero()), v_select(negative, exp_times(v_nfma(a, part, a), m, n), v_mul(a, part)));
}
static inline vec d_mish(vec z) {
    vec n, e, a, m = decay_of(z, &n, &e, &a), one = v_set1(1), b = v_add(one, e);
    mask negative = v_lt(z, v_zero());
    vec d = mish_denominator(z, e, b), inverse = v_div(one, d);
    vec below = v_nfma(a, v_fma(v_mul(e, e), e, v_mul(v_set1(4), v_mul(b, b))), v_mul(b, d));
    vec above = v_mul(v_add(e, e), v_sub(v_mul(v_add(a, a), b), d));
    vec part = v_mul(v_mul(v_mul(e, inverse), inverse), v_select(negative, below, above));
    return v_select(negative, exp_times(v_sub(v_sub(one, a), part), m, n), v_add(one, part));
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
