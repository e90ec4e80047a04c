/* fused.h: Adam's step inside the product that its gradient comes from. The step waits for the divider, which a product
 * leaves idle: each tile of dW stays in a scratch and goes through the step while the next one is computed, one vector
 * of it beside each k. Same operations as product and update_adam: same bits. Not where the tile leaves no registers
 * for the step: with AVX2's sixteen it is slower than a pass of its own. */

#ifdef TILE_FILLS_REGISTERS
#define FUSED_PRODUCT NULL
#else
#define FUSED_PRODUCT product_adam

/* Panels are wider than a vector: the layers are as wide as a panel (mlp_hides_update). */
#if HAS_HALF
#define FUSED_WIDTHS(X) X(1, 1) X(2, 0) X(2, 1) X(3, 0) X(3, 1) X(4, 0)
#else
#define FUSED_WIDTHS(X) X(2, 0) X(3, 0) X(4, 0)
#endif

/* The tiles are less high than a product's own: the step needs registers too. */
#define FUSED_HEIGHT(vectors) (TILE_HEIGHT(vectors) * 5 / 6)

/* Gradients, in rows of whole vectors, and where they go: rows of n elements that lie ld apart, `last` of them in the
 * last vector. What lies past a row's end is not computed with: it may be anything, and the divider slow for it. */
typedef struct {
    _Alignas(MLP_VECTOR_BYTES) real gradient[12 * PANEL];
    real *p, *m, *v;
    size_t ld, n, last, rows;
} waiting_tile;

ALWAYS_INLINE void step_vector(const waiting_tile *w, const adam_factors *f, size_t i, int j, int pieces) {
    size_t at = i * w->ld + (size_t)j * LANES, n = j + 1 < pieces ? LANES : w->last;
    const real *gradient = w->gradient + (i * (size_t)pieces + (size_t)j) * LANES;
    adam_vector(w->p + at, w->m + at, w->v + at, v_load_n(gradient, n), n, f);
}

/* Brings a vector of the waiting tile's arrays, so many rows on, into the L2 cache. */
ALWAYS_INLINE void fetch_vector(const waiting_tile *w, size_t row, int j) {
    size_t at = row * w->ld + (size_t)j * LANES;
    __builtin_prefetch(w->p + at, 0, 2);
    __builtin_prefetch(w->m + at, 0, 2);
    __builtin_prefetch(w->v + at, 0, 2);
}

ALWAYS_INLINE void step_rows(const waiting_tile *w, const adam_factors *f, size_t first, int pieces) {
    for (size_t i = first; i < w->rows; i++) {
        UNROLL(4)
        for (int j = 0; j < pieces; j++) {
            step_vector(w, f, i, j, pieces);
        }
    }
}

/* Penalty and decay of the weights that gradients go to: a pass of its own, as within the step it would cost 5 % also
 * where there is neither. */
static NOT_INLINE void penalize(waiting_tile *w, size_t width, const mlp_update *u) {
    vec l2 = v_set1((real)u->l2), decay = v_set1((real)u->decay);
    bool penalized = u->l2 != 0, decays = u->decay != 1;
    size_t n = w->n, ld = w->ld, rows = w->rows;
    real *gradient = w->gradient, *p = w->p;
    for (; rows > 0; rows--, gradient += width, p += ld) {
        for EACH_VECTOR (j, n) {
            vec weight = n - j < LANES ? v_load_n(p + j, n - j) : v_load(p + j);
            if (penalized) { /* what is past the row's end is not looked at again */
                v_store(gradient + j, v_fma(l2, weight, v_load(gradient + j)));
            }
            if (decays) {
                v_store_n(p + j, v_mul(weight, decay), n - j);
            }
        }
    }
}

/* The rows that waited have been through their step; so many others' gradients are there. */
ALWAYS_INLINE void wait_on(waiting_tile *w, size_t rows, const mlp_update *u, const int pieces) {
    size_t done = w->rows * w->ld;
    w->p += done;
    w->m += done;
    w->v += done;
    w->rows = rows;
    if (u->l2 != 0 || u->decay != 1) {
        penalize(w, (size_t)pieces * LANES, u);
    }
}

/* The gradients of a whole tile, while what waits goes through its step. */
ALWAYS_INLINE void fused_tile(waiting_tile *w, const adam_factors *f, const mlp_panel_product *product_of_rows,
                              const int rows, const int vectors, const int half) {
    const size_t a_row = product_of_rows->a_row, a_k = product_of_rows->a_k, ldb = product_of_rows->ldb;
    const size_t k = product_of_rows->k;
    const bool far = product_of_rows->far;
    const real *a = product_of_rows->a, *b = product_of_rows->b;
    tile_sums sum;
    load_tile(&sum, w->gradient, 0, 0, false, rows, vectors, half);
    const int pieces = vectors + half;
    size_t p = 0, beside = 0;
    for (; beside < w->rows && p + (size_t)pieces <= k; beside++, p += (size_t)pieces) {
        UNROLL(4)
        for (int j = 0; j < pieces; j++, a += a_k, b += ldb) {
            multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
            UNKNOWN_STRIDE(a);
            step_vector(w, f, beside, j, pieces);
            if (far && pieces == TILE_VECTORS) { /* not for the narrower last panel */
                fetch_vector(w, beside + 2 * (size_t)rows, j);
            }
        }
    }
    for (; p < k; p++, a += a_k, b += ldb) {
        multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
        UNKNOWN_STRIDE(a);
    }
    step_rows(w, f, beside, pieces);
    store_tile(&sum, w->gradient, (size_t)pieces * LANES, half ? HALF_LANES : LANES, rows, vectors, half);
}

ALWAYS_INLINE void fused_rows(const mlp_panel_product *product_of_rows, const mlp_adam *to, const int vectors,
                              const int half) {
    mlp_panel_product p = *product_of_rows;
    const int pieces = vectors + half, height = FUSED_HEIGHT(pieces);
    const size_t width = (size_t)pieces * LANES;
    adam_factors f = factors_of(to->update);
    waiting_tile w;
    w.p = to->p;
    w.m = to->m;
    w.v = to->v;
    w.ld = to->ld;
    w.n = p.n;
    w.last = p.n - (width - LANES);
    w.rows = 0;
    for (; p.m >= (size_t)height; p.m -= (size_t)height) {
        fused_tile(&w, &f, &p, height, vectors, half);
        wait_on(&w, (size_t)height, to->update, pieces);
        p.a = (const real *)p.a + (size_t)height * p.a_row;
    }
    if (p.m > 0) {
        step_rows(&w, &f, 0, pieces);
        p.c = w.gradient;
        p.ldc = width;
        p.accumulate = p.far = false;
        p.ending = MLP_AS_IT_IS;
        p.ahead.lines = 0;
        product(&p);
        wait_on(&w, p.m, to->update, pieces);
    }
    step_rows(&w, &f, 0, pieces);
}

#define WIDTH(vectors, half)                                                                          \
    static NOT_INLINE void fused_##vectors##_##half(const mlp_panel_product *p, const mlp_adam *to) { \
        fused_rows(p, to, vectors, half);                                                             \
    }
FUSED_WIDTHS(WIDTH)
#undef WIDTH

static void product_adam(const mlp_panel_product *p, const mlp_adam *to) {
    switch (width_of(p->n)) {
#define WIDTH(vectors, half) \
    case 2 * vectors + half: fused_##vectors##_##half(p, to); break;
        FUSED_WIDTHS(WIDTH)
#undef WIDTH
    default: break;
    }
}

#endif
