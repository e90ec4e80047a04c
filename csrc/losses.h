/* losses.h: one line and at most two functions for each loss; nothing else of the core knows a formula of theirs.
 *
 *     X(name, own output activation, kind, default parameter, lowest target, highest target)
 *
 * kind OF_DIFFERENCE: a function of d = a - y, under any of the elementwise output activations; loss_NAME(d, p) and its
 *     slope slope_NAME(d, p), p the parameter of the output (delta, q);
 * kind OF_LOGIT: a function of the logit z under its own output activation, with derivative a - y by z:
 *     loss_NAME(z, y, &derivative), which computes for both at once;
 * kind OF_LOGITS: the same over all outputs of a sample together: the softmax with its cross-entropy, in loss.h.
 * lowest, highest: what a target may be.
 *
 * Included by plain C for the list alone; the functions need a vector header (see kernels/). */
#define MLP_LOSSES(X)                                                        \
    X(squared_error, identity, OF_DIFFERENCE, 0.0, -HUGE_VAL, HUGE_VAL)      \
    X(half_squared_error, identity, OF_DIFFERENCE, 0.0, -HUGE_VAL, HUGE_VAL) \
    X(binary_cross_entropy, sigmoid, OF_LOGIT, 0.0, 0.0, 1.0)                \
    X(categorical_cross_entropy, softmax, OF_LOGITS, 0.0, 0.0, 1.0)          \
    X(absolute_error, identity, OF_DIFFERENCE, 0.0, -HUGE_VAL, HUGE_VAL)     \
    X(huber, identity, OF_DIFFERENCE, 1.0, -HUGE_VAL, HUGE_VAL)              \
    X(log_cosh, identity, OF_DIFFERENCE, 0.0, -HUGE_VAL, HUGE_VAL)           \
    X(quantile, identity, OF_DIFFERENCE, 0.5, -HUGE_VAL, HUGE_VAL)           \
    X(poisson, exp, OF_LOGIT, 0.0, 0.0, HUGE_VAL)

#ifdef LANES

/* d^2 */
static inline vec loss_squared_error(vec d, vec p) {
    (void)p;
    return v_mul(d, d);
}

static inline vec slope_squared_error(vec d, vec p) {
    (void)p;
    return v_add(d, d);
}

/* d^2 / 2 */
static inline vec loss_half_squared_error(vec d, vec p) {
    (void)p;
    return v_mul(v_mul(v_set1((real)0.5), d), d);
}

static inline vec slope_half_squared_error(vec d, vec p) {
    (void)p;
    return d;
}

/* -y log a - (1 - y) log(1 - a) with a = sigmoid(z): softplus(z) - y z, written so that neither part overflows; and
 * a - y as f_sigmoid has a, so that a rounded to 1 leaves no 0. */
static inline vec loss_binary_cross_entropy(vec z, vec y, vec *derivative) {
    vec sum, e = decay_and_sum(z, &sum), a = v_by_sign(z, e, v_set1(1));
    *derivative = v_nfma(a, v_div(e, sum), v_sub(a, y));
    return v_add(v_nfma(y, z, v_max(z, v_zero())), log1p_unit(e));
}

/* |d| */
static inline vec loss_absolute_error(vec d, vec p) {
    (void)p;
    return v_abs(d);
}

static inline vec slope_absolute_error(vec d, vec p) {
    (void)p;
    vec sign = v_copysign(v_set1(1), d);
    return v_select(v_eq(d, v_zero()), d, sign);
}

/* d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2); Huber (1964). */
static inline vec loss_huber(vec d, vec delta) {
    vec half = v_set1((real)0.5), size = v_abs(d);
    vec outside = v_mul(delta, v_nfma(half, delta, size));
    return v_select(v_gt(size, delta), outside, v_mul(v_mul(half, d), d));
}

static inline vec slope_huber(vec d, vec delta) { return v_max(v_neg(delta), v_min(delta, d)); }

/* log cosh d */
static inline vec loss_log_cosh(vec d, vec p) {
    (void)p;
    return f_log_cosh(d);
}

static inline vec slope_log_cosh(vec d, vec p) {
    (void)p;
    return f_tanh(d);
}

/* max(-q d, (1 - q) d), d = a - y: Koenker and Bassett (1978). */
static inline vec loss_quantile(vec d, vec q) {
    return v_mul(d, v_sub(v_select(v_lt(d, v_zero()), v_zero(), v_set1(1)), q));
}

static inline vec slope_quantile(vec d, vec q) {
    vec slope = v_sub(v_select(v_lt(d, v_zero()), v_zero(), v_set1(1)), q);
    return v_select(v_eq(d, v_zero()), v_zero(), slope);
}

/* a - y + y log(y / a) with a = exp(z): half the Poisson deviance; y log y is 0 at y = 0. */
static inline vec loss_poisson(vec z, vec y, vec *derivative) {
    vec a = f_exp(z), zero = v_zero(), positive = v_select(v_gt(y, zero), y, v_set1(1));
    *derivative = v_sub(a, y);
    return v_add(a, v_mul(y, v_sub(v_sub(f_log(positive), z), v_set1(1))));
}

#endif
