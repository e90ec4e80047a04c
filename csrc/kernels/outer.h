/* outer.h: the step of a layer's weights by few samples, whose gradient is a sum of as many outer products. It is not
 * kept: the weights, and what the rule keeps of them, pass by once, row after row as they lie, where the tiles of a
 * product would come to them in pieces of rows and leave a gradient to be read again. Same operations as in product and
 * update: same bits. */

/* Rows that a vector of dZ is loaded for, and the vectors of a row that one element of A is: two are better where more
 * is multiplied in a cycle than loaded, which is where vectors are short. */
enum { OUTER_HEIGHT = 4, OUTER_WIDTH = HAS_HALF ? 1 : 2 };

typedef enum { OUTER_PLAIN, OUTER_SGD, OUTER_ADAM } outer_rule; /* plain: weights and their gradients, no more */

typedef struct {
    sgd_factors for_sgd;
    adam_factors for_adam;
    vec l2, decay;
    bool penalized, decays;
} outer_factors;

/* n weights from number `at` on, by their gradient x. */
ALWAYS_INLINE void outer_step(const mlp_outer *o, size_t at, vec x, size_t n, const outer_factors *f,
                              const outer_rule rule) {
    real *p = (real *)o->p + at;
    if (rule != OUTER_PLAIN && f->penalized) {
        x = v_fma(f->l2, v_load_n(p, n), x);
    }
    if (rule != OUTER_PLAIN && f->decays) {
        v_store_n(p, v_mul(v_load_n(p, n), f->decay), n);
    }
    if (rule == OUTER_ADAM) {
        adam_vector(p, (real *)o->first + at, (real *)o->second + at, x, n, &f->for_adam);
    } else {
        bool moves = rule == OUTER_SGD && o->first != NULL;
        sgd_vector(p, moves ? (real *)o->first + at : NULL, x, n, &f->for_sgd);
    }
}

/* n of a row's elements from column j on, a vector at most or so many whole ones, in some rows from row i on. */
ALWAYS_INLINE void outer_vectors(const mlp_outer *o, size_t i, size_t j, size_t n, const outer_factors *f,
                                 const outer_rule rule, const int rows, const int vectors) {
    const real *a = (const real *)o->a + i, *dz = (const real *)o->dz + j;
    vec sum[OUTER_WIDTH][OUTER_HEIGHT];
    UNROLL(2)
    for (int v = 0; v < vectors; v++) {
        UNROLL(4)
        for (int r = 0; r < rows; r++) {
            sum[v][r] = v_zero();
        }
    }
    for (size_t k = o->k; k > 0; k--, a += o->lda, dz += o->ldz) {
        vec right = v_load(dz), beside = vectors > 1 ? v_load(dz + LANES) : right;
        UNROLL(4)
        for (int r = 0; r < rows; r++) {
            sum[0][r] = v_fma(v_set1(a[r]), right, sum[0][r]);
            if (vectors > 1) {
                sum[OUTER_WIDTH - 1][r] = v_fma(v_set1(a[r]), beside, sum[OUTER_WIDTH - 1][r]);
            }
        }
        UNKNOWN_STRIDE(a);
    }
    UNROLL(2)
    for (int v = 0; v < vectors; v++) {
        size_t at = i * o->n + j + (size_t)v * LANES;
        UNROLL(4)
        for (int r = 0; r < rows; r++, at += o->n) {
            outer_step(o, at, sum[v][r], n, f, rule);
        }
    }
}

/* The last rows first: a vector that begins where a row has just ended would wait until that is in the cache, and the
 * next forward pass begins with the first ones. */
ALWAYS_INLINE void outer(const mlp_outer *given, const mlp_update *u, const outer_rule rule) {
    const mlp_outer o = *given; /* of its own: what is stored might else be a part of it */
    const outer_factors f = {.for_sgd = sgd_factors_of(u),
                             .for_adam = factors_of(u),
                             .l2 = v_set1((real)u->l2),
                             .decay = v_set1((real)u->decay),
                             .penalized = u->l2 != 0,
                             .decays = u->decay != 1};
    for (size_t left = o.rows; left > 0;) {
        bool several = left % OUTER_HEIGHT == 0;
        size_t i = left - (several ? OUTER_HEIGHT : 1), j = 0;
        left = i;
        for (; j + OUTER_WIDTH * LANES <= o.n; j += OUTER_WIDTH * LANES) {
            if (several) {
                outer_vectors(&o, i, j, LANES, &f, rule, OUTER_HEIGHT, OUTER_WIDTH);
            } else {
                outer_vectors(&o, i, j, LANES, &f, rule, 1, OUTER_WIDTH);
            }
        }
        for (; j < o.n && rule == OUTER_PLAIN; j += LANES) {
            if (several) {
                outer_vectors(&o, i, j, o.n - j, &f, rule, OUTER_HEIGHT, 1);
            } else {
                outer_vectors(&o, i, j, o.n - j, &f, rule, 1, 1);
            }
        }
    }
}

static NOT_INLINE void outer_plain(const mlp_outer *o, const mlp_update *u) { outer(o, u, OUTER_PLAIN); }

/* A step by one sample, and what the next one is multiplied to by the rows that it leaves: these pass by once for both.
 * n of some rows' elements, from column j on. */
ALWAYS_INLINE void step_and_multiply(const mlp_outer *o, size_t i, size_t j, size_t n, vec rate, const int rows) {
    const real *a = (const real *)o->a + i, *next = (const real *)o->next + i;
    real *p = (real *)o->p + i * o->n + j, *z = (real *)o->z + j;
    vec dz = v_load((const real *)o->dz + j), sum = v_load(z);
    UNROLL(4)
    for (int r = 0; r < rows; r++, p += o->n) {
        vec w = v_nfma(rate, v_fma(v_set1(a[r]), dz, v_zero()), v_load_n(p, n));
        v_store_n(p, w, n);
        sum = v_fma(v_set1(next[r]), w, sum);
    }
    v_store(z, sum);
}

/* The part of a vector first: stored last it would hold up the row that begins there. */
ALWAYS_INLINE void step_and_multiply_rows(const mlp_outer *o, size_t i, vec rate, const int rows) {
    size_t part = o->n % LANES;
    if (part > 0) {
        step_and_multiply(o, i, o->n - part, part, rate, rows);
    }
    for (size_t j = 0; j + LANES <= o->n; j += LANES) {
        step_and_multiply(o, i, j, LANES, rate, rows);
    }
}

/* The first rows first, as the chains of a product go. */
static NOT_INLINE void outer_ahead(const mlp_outer *given, const mlp_update *u) {
    const mlp_outer o = *given;
    vec rate = v_set1((real)u->rate);
    size_t i = 0;
    fill(o.z, 0.0, o.n);
    for (; i + OUTER_HEIGHT <= o.rows; i += OUTER_HEIGHT) {
        step_and_multiply_rows(&o, i, rate, OUTER_HEIGHT);
    }
    for (; i < o.rows; i++) {
        step_and_multiply_rows(&o, i, rate, 1);
    }
}

static NOT_INLINE void outer_moving(const mlp_outer *o, const mlp_update *u) { outer(o, u, OUTER_SGD); }

static void outer_sgd(const mlp_outer *o, const mlp_update *u) {
    bool plain = o->first == NULL && u->l2 == 0 && u->decay == 1;
    (!plain ? outer_moving : o->next != NULL ? outer_ahead : outer_plain)(o, u);
}

static void outer_adam(const mlp_outer *o, const mlp_update *u) { outer(o, u, OUTER_ADAM); }
