/* update.h: the update rules, one pass over flat vectors each, and the vector arithmetic of penalties, clipping and
 * L-BFGS. Sums are added in double, in lanes, then by one tree. */

/* SGD with momentum, as PyTorch's: v <- mu v + g; p <- p - rate v, or with Nesterov p - rate (g + mu v). For the
 * classic form the rate is in g. Without momentum v is g. */
typedef struct {
    vec rate, momentum, gradient_rate;
    bool nesterov;
} sgd_factors;

static inline sgd_factors sgd_factors_of(const mlp_update *u) {
    return (sgd_factors){.rate = v_set1((real)u->rate),
                         .momentum = v_set1((real)u->momentum),
                         .gradient_rate = v_set1((real)u->gradient_rate),
                         .nesterov = u->nesterov};
}

/* The first n elements of a vector, by their gradient x; v NULL: no momentum. */
ALWAYS_INLINE void sgd_vector(real *p, real *v, vec x, size_t n, const sgd_factors *f) {
    vec step = x;
    if (v != NULL) {
        step = v_mul(f->gradient_rate, x);
        vec moved = v_fma(f->momentum, v_load_n(v, n), step);
        v_store_n(v, moved, n);
        step = f->nesterov ? v_fma(f->momentum, moved, step) : moved;
    }
    v_store_n(p, v_nfma(f->rate, step, v_load_n(p, n)), n);
}

static void update_sgd(void *parameters, const void *gradient, void *velocity, size_t n, const mlp_update *u) {
    real *p = parameters, *v = velocity;
    sgd_factors f = sgd_factors_of(u);
    for EACH_VECTOR (i, n) {
        sgd_vector(p + i, v == NULL ? NULL : v + i, v_load_n((const real *)gradient + i, n - i), n - i, &f);
    }
}

/* Adam (Kingma and Ba, 2015): with corrections c1 and c2 of the means, rate (m / c1) / (sqrt(v) / c2 + epsilon) is
 * (rate c2 / c1) m / (sqrt(v) + epsilon c2), one division less; the divider is what this loop waits for. */
typedef struct {
    vec take_1, keep_2, take_2, epsilon, rate;
} adam_factors;

static inline adam_factors factors_of(const mlp_update *u) {
    return (adam_factors){.take_1 = v_set1((real)(1.0 - u->beta_1)),
                          .keep_2 = v_set1((real)u->beta_2),
                          .take_2 = v_set1((real)(1.0 - u->beta_2)),
                          .epsilon = v_set1((real)(u->epsilon * u->correction_2)),
                          .rate = v_set1((real)(u->rate * u->correction_2 / u->correction_1))};
}

/* The first n elements of a vector, by their gradient x. */
ALWAYS_INLINE void adam_vector(real *p, real *m, real *v, vec x, size_t n, const adam_factors *f) {
    vec mean = v_load_n(m, n), square = v_load_n(v, n);
    mean = v_fma(f->take_1, v_sub(x, mean), mean);
    square = v_fma(v_mul(f->take_2, x), x, v_mul(f->keep_2, square));
    v_store_n(m, mean, n);
    v_store_n(v, square, n);
    vec size = v_add(v_sqrt(square), f->epsilon);
    v_store_n(p, v_nfma(f->rate, v_div(mean, size), v_load_n(p, n)), n);
}

static void update_adam(void *parameters, const void *gradient, void *first, void *second, size_t n,
                        const mlp_update *u) {
    adam_factors f = factors_of(u);
    for EACH_VECTOR (i, n) {
        adam_vector((real *)parameters + i, (real *)first + i, (real *)second + i,
                    v_load_n((const real *)gradient + i, n - i), n - i, &f);
    }
}

/* RMSprop (Tieleman and Hinton, 2012), as PyTorch's, momentum where there is a vector for it. */
static void update_rmsprop(void *parameters, const void *gradient, void *second, void *velocity, size_t n,
                           const mlp_update *u) {
    real *p = parameters, *v = second, *b = velocity;
    const real *g = gradient;
    vec rho = v_set1((real)u->rho), rest = v_set1((real)(1.0 - u->rho)), epsilon = v_set1((real)u->epsilon);
    vec rate = v_set1((real)u->rate), momentum = v_set1((real)u->momentum);
    for EACH_VECTOR (i, n) {
        vec x = v_load_n(g + i, n - i), square = v_load_n(v + i, n - i);
        square = v_fma(v_mul(rest, x), x, v_mul(rho, square));
        v_store_n(v + i, square, n - i);
        vec step = v_div(x, v_add(v_sqrt(square), epsilon));
        if (b != NULL) {
            step = v_fma(momentum, v_load_n(b + i, n - i), step);
            v_store_n(b + i, step, n - i);
        }
        v_store_n(p + i, v_nfma(rate, step, v_load_n(p + i, n - i)), n - i);
    }
}

/* iRprop- (Igel and Huesken, 2000), as PyTorch's: a step grows while the sign of its gradient stays, shrinks when it
 * turns, and the turned gradient counts as zero. */
static void update_rprop(void *parameters, const void *gradient, void *previous, void *steps, size_t n,
                         const mlp_update *u) {
    real *p = parameters, *last = previous, *size = steps;
    const real *g = gradient;
    vec grow = v_set1((real)u->eta_plus), shrink = v_set1((real)u->eta_minus), one = v_set1(1), zero = v_zero();
    vec smallest = v_set1((real)u->step_min), largest = v_set1((real)u->step_max);
    for EACH_VECTOR (i, n) {
        vec x = v_load_n(g + i, n - i), turn = v_mul(x, v_load_n(last + i, n - i));
        vec factor = v_select(v_gt(turn, zero), grow, v_select(v_lt(turn, zero), shrink, one));
        vec step = v_min(largest, v_max(smallest, v_mul(v_load_n(size + i, n - i), factor)));
        x = v_select(v_lt(turn, zero), zero, x);
        v_store_n(size + i, step, n - i);
        v_store_n(last + i, x, n - i);
        vec signed_step = v_select(v_eq(x, zero), zero, v_copysign(step, x));
        v_store_n(p + i, v_sub(v_load_n(p + i, n - i), signed_step), n - i);
    }
}

static void clear_subnormals(void *vector, size_t n) {
    real *x = vector;
    vec smallest = v_set1(sizeof(real) == sizeof(float) ? (real)FLT_MIN : (real)DBL_MIN);
    for EACH_VECTOR (i, n) {
        vec values = v_load_n(x + i, n - i);
        v_store_n(x + i, v_clear(v_lt(v_abs(values), smallest), values), n - i);
    }
}

static void fill(void *x, double value, size_t n) {
    vec v = v_set1((real)value);
    for EACH_VECTOR (i, n) {
        v_store_n((real *)x + i, v, n - i);
    }
}

static void from_doubles(void *x, const void *doubles, size_t n) {
    typedef double anywhere __attribute__((aligned(1)));
    real *restrict to = x;
    const anywhere *restrict from = doubles;
    for (size_t i = 0; i < n; i++) {
        to[i] = (real)from[i];
    }
}

static void scale(void *x, double factor, size_t n) {
    real *to = x;
    vec f = v_set1((real)factor);
    for EACH_VECTOR (i, n) {
        v_store_n(to + i, v_mul(v_load_n(to + i, n - i), f), n - i);
    }
}

static void add(void *x, const void *y, size_t n) {
    real *to = x;
    for EACH_VECTOR (i, n) {
        v_store_n(to + i, v_add(v_load_n(to + i, n - i), v_load_n((const real *)y + i, n - i)), n - i);
    }
}

static void axpy(void *out, const void *x, double factor, const void *y, size_t n) {
    vec f = v_set1((real)factor);
    for EACH_VECTOR (i, n) {
        vec left = v_load_n((const real *)x + i, n - i), right = v_load_n((const real *)y + i, n - i);
        v_store_n((real *)out + i, v_fma(f, right, left), n - i);
    }
}

static void add_penalty(void *g, const void *w, double l1, double l2, size_t n) {
    real *to = g;
    vec first = v_set1((real)l1), second = v_set1((real)l2);
    for EACH_VECTOR (i, n) {
        vec x = v_load_n((const real *)w + i, n - i);
        vec sign = v_select(v_eq(x, v_zero()), v_zero(), v_copysign(first, x));
        v_store_n(to + i, v_fma(second, x, v_add(v_load_n(to + i, n - i), sign)), n - i);
    }
}

/* Sums in double, element i in lane i modulo SUM_LANES: vectors enough that none waits for the one before it. */
enum { SUM_LANES = 32 };

static inline double add_tree(double *lanes) {
    for (size_t half = SUM_LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

#define SUM_IN_LANES(term)                                    \
    do {                                                      \
        size_t whole = n - n % SUM_LANES;                     \
        for (size_t i = 0; i < whole; i += SUM_LANES) {       \
            for (size_t lane = 0; lane < SUM_LANES; lane++) { \
                lanes[lane] += term(i + lane);                \
            }                                                 \
        }                                                     \
        for (size_t i = whole; i < n; i++) {                  \
            lanes[i - whole] += term(i);                      \
        }                                                     \
    } while (0)

static double dot(const void *x, const void *y, size_t n) {
    const real *left = x, *right = y;
    double lanes[SUM_LANES] = {0};
#define PRODUCT(i) ((double)left[i] * (double)right[i])
    SUM_IN_LANES(PRODUCT);
#undef PRODUCT
    return add_tree(lanes);
}

static double sum_squares(const void *x, size_t n) { /* its own: dot would convert each element twice */
    const real *from = x;
    double lanes[SUM_LANES] = {0};
#define SQUARE(i) ((double)from[i] * (double)from[i])
    SUM_IN_LANES(SQUARE);
#undef SQUARE
    return add_tree(lanes);
}

static double sum_abs(const void *x, size_t n) {
    const real *from = x;
    double lanes[SUM_LANES] = {0};
#define SIZE(i) fabs((double)from[i])
    SUM_IN_LANES(SIZE);
#undef SIZE
    return add_tree(lanes);
}

static double max_abs(const void *x, size_t n) {
    vec largest = v_zero();
    for EACH_VECTOR (i, n) {
        largest = v_max(v_abs(v_load_n((const real *)x + i, n - i)), largest);
    }
    real lanes[LANES];
    v_store(lanes, largest);
    for (size_t i = 1; i < LANES; i++) {
        lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    }
    return (double)lanes[0];
}

/* x * 0 is 0 for a finite x and NaN otherwise. */
static bool all_finite(const void *x, size_t n) {
    vec sum = v_zero();
    for EACH_VECTOR (i, n) {
        sum = v_fma(v_load_n((const real *)x + i, n - i), v_zero(), sum);
    }
    return v_all_finite(sum);
}
