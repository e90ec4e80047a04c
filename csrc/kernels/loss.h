/* loss.h: losses over a block of samples in lanes layout: one row of samples per output. The formulas are losses.h's.
 * A sample's loss is added up over its outputs in double, in their order. */

/* The loss by output k of the samples at hand: the first output's begins the sum. */
ALWAYS_INLINE void add_losses(double *losses, size_t k, vec x) {
    if (k == 0) {
        v_to_double(x, losses);
        return;
    }
    double wide[LANES];
    v_to_double(x, wide);
    for (size_t i = 0; i < LANES; i++) {
        losses[i] += wide[i];
    }
}

/* A sample of weight 0 is none at all, whatever its derivative. */
static inline vec scaled(vec derivative, vec scale) { return v_clear(v_eq(scale, v_zero()), v_mul(derivative, scale)); }

ALWAYS_INLINE void loss_of_difference(double *losses, real *dz, const real *a, const mlp_targets *t,
                                      vec (*loss)(vec, vec), vec (*slope)(vec, vec)) {
    const real *y = t->y, *scale = t->scale;
    for (size_t s = 0; s < t->n; s += LANES) {
        for (size_t k = 0; k < t->n_outputs; k++) {
            size_t at = k * t->stride + s;
            vec d = v_sub(v_load(a + at), v_load(y + at)), p = v_set1((real)t->parameters[k]);
            add_losses(losses + s, k, loss(d, p));
            if (dz != NULL) {
                v_store(dz + at, scaled(slope(d, p), v_load(scale + s)));
            }
        }
    }
}

ALWAYS_INLINE void loss_of_rows(double *losses, real *dz, const real *a, const mlp_row_targets *t,
                                vec (*loss)(vec, vec), vec (*slope)(vec, vec)) {
    enum { AHEAD = 32 }; /* rows: targets are read here alone, from where the caller has them */
    for (size_t i = 0; i < t->n; i++) {
        const real *row = a + i * t->ld, *y = (const real *)t->y + i * t->y_ld, *parameters = t->parameters;
        double sums[8] = {0};
        vec scale = v_set1(((const real *)t->scale)[i]);
        for (size_t k = 0; k < t->n_outputs; k += LANES) {
            __builtin_prefetch(y + AHEAD * t->y_ld + k);
            size_t left = t->n_outputs - k; /* past the last output the difference is 0, and so are loss and slope */
            vec d = v_sub(v_load_n(row + k, left), v_load_n(y + k, left)), p = v_load(parameters + k);
            double wide[LANES];
            v_to_double(loss(d, p), wide);
            for (size_t lane = 0; lane < LANES; lane++) {
                sums[(k + lane) % 8] += wide[lane];
            }
            if (dz != NULL) {
                v_store(dz + i * t->ld + k, scaled(slope(d, p), scale));
            }
        }
        losses[i] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    }
}

/* Each is a long chain: the machine needs several to fill its time with. The last one may be alone, and is there
 * twice. */
ALWAYS_INLINE void loss_of_logit(double *losses, real *dz, const real *z, const mlp_targets *t,
                                 vec (*loss)(vec, vec, vec *)) {
    enum { CHAINS = 2 };
    const real *y = t->y, *scale = t->scale;
    for (size_t s = 0; s < t->n; s += CHAINS * LANES) {
        size_t beside = s + LANES < t->n ? LANES : 0;
        for (size_t k = 0; k < t->n_outputs; k++) {
            vec value[CHAINS], derivative[CHAINS];
            UNROLL(2)
            for (size_t v = 0; v < CHAINS; v++) { /* nothing is stored meanwhile, so that they are free of each other */
                size_t at = k * t->stride + s + v * beside;
                value[v] = loss(v_load(z + at), v_load(y + at), &derivative[v]);
            }
            for (size_t v = 0; v < (beside > 0 ? CHAINS : 1); v++) {
                size_t sample = s + v * beside;
                add_losses(losses + sample, k, value[v]);
                if (dz != NULL) {
                    v_store(dz + k * t->stride + sample, scaled(derivative[v], v_load(scale + sample)));
                }
            }
        }
    }
}

/* In eight lanes, sample i in lane i mod 8, then by one tree. */
static double sum_losses(const double *losses, const double *weights, size_t n) {
    double lanes[8] = {0};
    size_t whole = weights == NULL ? n - n % 8 : 0;
    for (size_t i = 0; i < whole; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            lanes[lane] += losses[i + lane];
        }
    }
    for (size_t i = whole; i < n; i++) {
        lanes[i % 8] += weights == NULL ? losses[i] : weights[i] == 0 ? 0.0 : weights[i] * losses[i];
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* scale = factor times weight, of each sample. */
static void scale_of(void *scale, const double *weights, double factor, size_t n) {
    real *to = scale;
    for (size_t i = 0; i < n; i++) {
        to[i] = (real)(factor * weights[i]);
    }
}

/* For each sample, the largest logit, e_k = exp(z_k - largest), unless NULL, and what there is in their sum beside the
 * 1 of the largest: so a loss near 0, and its derivative, are as exact as any. e may be z. */
static inline vec softmax_others(real *e, const real *z, size_t n_outputs, size_t stride, vec *largest) {
    vec top = v_load(z), one = v_set1(1), ones = v_set1(-1), smaller = v_zero();
    for (size_t k = 1; k < n_outputs; k++) {
        top = v_max(top, v_load(z + k * stride));
    }
    for (size_t k = 0; k < n_outputs; k++) {
        vec power = f_decay(v_sub(v_load(z + k * stride), top));
        mask is_one = v_eq(power, one);
        ones = v_add(ones, v_select(is_one, one, v_zero()));
        smaller = v_add(smaller, v_clear(is_one, power));
        if (e != NULL) {
            v_store(e + k * stride, power);
        }
    }
    *largest = top;
    return v_add(ones, smaller);
}

/* log(1 + others) */
static NOT_INLINE vec log_of_sum_with(vec others) {
    return v_select(v_lt(others, v_set1(1)), log1p_unit(others), f_log(v_add(v_set1(1), others)));
}

/* -sum_k y_k log softmax(z)_k; derivative by z: (sum_k y_k) a - y. The a of a class that outweighs the others is
 * 1 - others / (1 + others). */
static void loss_categorical(double *losses, void *derivative, const void *logits, const mlp_targets *t) {
    const real *z = logits, *y = t->y, *scale = t->scale;
    real *dz = derivative;
    for (size_t s = 0; s < t->n; s += LANES) {
        real *powers = dz == NULL ? NULL : dz + s;
        vec largest, others = softmax_others(powers, z + s, t->n_outputs, t->stride, &largest), one = v_set1(1);
        vec sum = v_add(one, others), y_sum = v_zero();
        mask outweighed = v_lt(others, one);
        vec log_of_sum = log_of_sum_with(others);
        for (size_t k = 0; k < t->n_outputs; k++) {
            size_t at = k * t->stride + s;
            vec target = v_load(y + at), surprise = v_sub(log_of_sum, v_sub(v_load(z + at), largest));
            add_losses(losses + s, k, v_mul(target, surprise));
            y_sum = v_add(y_sum, target);
        }
        if (dz == NULL) {
            continue;
        }
        vec factor = v_load(scale + s), its_e = v_select(outweighed, one, v_set1(2)); /* 2: there is none */
        for (size_t k = 0; k < t->n_outputs; k++) {
            size_t at = k * t->stride + s;
            vec target = v_load(y + at), e = v_load(dz + at);
            mask is_it = v_eq(e, its_e);
            vec part = v_mul(y_sum, v_div(v_select(is_it, others, e), sum));
            vec slope = v_select(is_it, v_sub(v_sub(y_sum, target), part), v_sub(part, target));
            v_store(dz + at, scaled(slope, factor));
        }
    }
}

static void softmax(void *outputs, size_t n_outputs, size_t n, size_t stride) {
    real *a = outputs;
    for (size_t s = 0; s < n; s += LANES) {
        vec largest, sum = v_add(v_set1(1), softmax_others(a + s, a + s, n_outputs, stride, &largest));
        for (size_t k = 0; k < n_outputs; k++) {
            size_t at = k * stride + s;
            v_store(a + at, v_div(v_load(a + at), sum));
        }
    }
}

/* Cross-entropies as scikit-learn reports them: of probabilities in [epsilon, 1 - epsilon], where log(1 - p) shows the
 * last bit of p. So binary ones are given z: p must be rounded like the plain formula, which f_sigmoid improves on. */
static void clipped_entropy(double *losses, const void *outputs, const mlp_targets *t, bool binary) {
    const real *a_or_z = outputs, *y = t->y;
    const real epsilon = (real)(REAL_IS_DOUBLE ? 0x1p-52 : 0x1p-23);
    vec one = v_set1(1), least = v_set1(epsilon), most = v_set1(1 - epsilon);
    for (size_t s = 0; s < t->n; s += LANES) {
        for (size_t k = 0; k < t->n_outputs; k++) {
            size_t at = k * t->stride + s;
            vec p = v_load(a_or_z + at), target = v_load(y + at);
            if (binary) {
                p = v_div(one, v_add(one, f_exp(v_neg(p))));
            }
            p = v_min(most, v_max(least, p));
            vec likelihood = v_mul(target, f_log(p));
            if (binary) {
                likelihood = v_add(likelihood, v_mul(v_sub(one, target), f_log(v_sub(one, p))));
            }
            add_losses(losses + s, k, v_neg(likelihood));
        }
    }
}

/* dA of the losses given by logits, term by term: 0 where the target's factor or the sample's is 0, whatever the
 * output. */
ALWAYS_INLINE void gradient_of_logit(real *da, const real *a, const mlp_targets *t, double (*slope)(double, double)) {
    const real *y = t->y, *scale = t->scale;
    for (size_t k = 0; k < t->n_outputs; k++) {
        for (size_t s = 0; s < t->n; s++) {
            size_t at = k * t->stride + s;
            da[at] = scale[s] == 0 ? 0 : (real)((double)scale[s] * slope((double)a[at], (double)y[at]));
        }
    }
}

static inline double output_slope_binary_cross_entropy(double a, double y) {
    return (y == 1.0 ? 0.0 : (1.0 - y) / (1.0 - a)) - (y == 0.0 ? 0.0 : y / a);
}

static inline double output_slope_categorical_cross_entropy(double a, double y) { return y == 0.0 ? 0.0 : -y / a; }

static inline double output_slope_poisson(double a, double y) { return 1.0 - (y == 0.0 ? 0.0 : y / a); }

#define OF_DIFFERENCE(name)                                                                      \
    static void block_##name(double *losses, void *dz, const void *a, const mlp_targets *t) {    \
        loss_of_difference(losses, dz, a, t, loss_##name, slope_##name);                         \
    }                                                                                            \
    SELDOM static void output_gradient_##name(void *da, const void *a, const mlp_targets *t) {   \
        double unused[MLP_BLOCK_ROWS] = {0};                                                     \
        block_##name(unused, da, a, t);                                                          \
    }                                                                                            \
    static void rows_##name(double *losses, void *dz, const void *a, const mlp_row_targets *t) { \
        loss_of_rows(losses, dz, a, t, loss_##name, slope_##name);                               \
    }
#define OF_LOGIT(name)                                                                        \
    static void block_##name(double *losses, void *dz, const void *z, const mlp_targets *t) { \
        loss_of_logit(losses, dz, z, t, loss_##name);                                         \
    }                                                                                         \
    OUTPUT_GRADIENT(name)
#define OF_LOGITS(name)                                                                       \
    static void block_##name(double *losses, void *dz, const void *z, const mlp_targets *t) { \
        loss_categorical(losses, dz, z, t);                                                   \
    }                                                                                         \
    OUTPUT_GRADIENT(name)
#define OUTPUT_GRADIENT(name)                                                                  \
    SELDOM static void output_gradient_##name(void *da, const void *a, const mlp_targets *t) { \
        gradient_of_logit(da, a, t, output_slope_##name);                                      \
    }
#define LOSS(name, activation, kind, parameter, lowest, highest) kind(name)
MLP_LOSSES(LOSS)
#undef LOSS
#undef OUTPUT_GRADIENT
#undef OF_DIFFERENCE
#undef OF_LOGIT
#undef OF_LOGITS
