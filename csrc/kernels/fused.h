/* fused.h: Adam's step inside the product that its gradient comes from. The step waits for the divider, which a product
 * leaves idle: each tile of dW stays in a scratch and goes through the step while the next one is computed, one vector
 * of it beside each k. Same operations as product and update_adam: same bits. Not where the tile leaves no registers
 * for the step: with AVX2's sixteen it is slower than a pass of its own. */

#ifdef TILE_FILLS_REGISTERS
#define FUSED_PRODUCT NULL
#else
#define FUSED_PRODUCT product_adam

/* The tiles are less high than a product's own: the step needs registers too. */
#define FUSED_HEIGHT(vectors) (TILE_HEIGHT(vectors) * 5 / 6)

/* A tile of gradients and where it goes: vectors of p, m and v in rows ld apart. */
typedef struct {
    real gradient[12 * PANEL];
    real *p, *m, *v;
    size_t ld, rows;
} waiting_tile;

ALWAYS_INLINE void step_vector(const waiting_tile *w, const adam_factors *f, size_t i, int j, int vectors,
                               size_t last) {
    size_t at = i * w->ld + (size_t)j * LANES;
    adam_vector(w->p + at, w->m + at, w->v + at, v_load(w->gradient + i * PANEL + (size_t)j * LANES),
                j + 1 < vectors ? LANES : last, f);
}

ALWAYS_INLINE void step_rows(const waiting_tile *w, const adam_factors *f, size_t first, int vectors, size_t last) {
    for (size_t i = first; i < w->rows; i++) {
        UNROLL(4)
        for (int j = 0; j < vectors; j++) {
            step_vector(w, f, i, j, vectors, last);
        }
    }
}

/* Penalty and decay of the weights that a tile goes to: a pass of its own, as within the step it would cost 5 % also
 * where there is neither. */
static NOT_INLINE void penalize(waiting_tile *w, const mlp_update *u, size_t n) {
    vec l2 = v_set1((real)u->l2), decay = v_set1((real)u->decay);
    bool decays = u->decay != 1;
    for (size_t i = 0; i < w->rows; i++) {
        for EACH_VECTOR (j, n) {
            real *gradient = w->gradient + i * PANEL + j, *p = w->p + i * w->ld + j;
            vec weight = v_load_n(p, n - j);
            v_store(gradient, v_fma(l2, weight, v_load(gradient)));
            if (decays) {
                v_store_n(p, v_mul(weight, decay), n - j);
            }
        }
    }
}

static void advance(waiting_tile *w, size_t rows) {
    size_t done = w->rows * w->ld;
    w->p += done;
    w->m += done;
    w->v += done;
    w->rows = rows;
}

/* A whole tile into w->gradient, once what lay there has been through its step. */
ALWAYS_INLINE void fused_tile(waiting_tile *w, const adam_factors *f, const mlp_panel_product *product_of_rows,
                              size_t last, const int rows, const int vectors, const int half) {
    const size_t a_row = product_of_rows->a_row, a_k = product_of_rows->a_k, ldb = product_of_rows->ldb;
    const size_t k = product_of_rows->k;
    const real *a = product_of_rows->a, *b = product_of_rows->b;
    tile_sums sum;
    load_tile(&sum, w->gradient, PANEL, 0, false, rows, vectors, half);
    const int pieces = vectors + half;
    size_t p = 0, beside = 0;
    for (; beside < w->rows && p + (size_t)pieces <= k; beside++, p += (size_t)pieces) {
        UNROLL(4)
        for (int j = 0; j < pieces; j++, a += a_k, b += ldb) {
            multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
            UNKNOWN_STRIDE(a);
            step_vector(w, f, beside, j, pieces, last);
        }
    }
    for (; p < k; p++, a += a_k, b += ldb) {
        multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
        UNKNOWN_STRIDE(a);
    }
    step_rows(w, f, beside, pieces, last);
    store_tile(&sum, w->gradient, PANEL, half ? HALF_LANES : LANES, rows, vectors, half);
}

ALWAYS_INLINE void fused_rows(const mlp_panel_product *product_of_rows, const mlp_adam *to, const int vectors,
                              const int half) {
    mlp_panel_product p = *product_of_rows;
    const int pieces = vectors + half, height = FUSED_HEIGHT(pieces);
    adam_factors f = factors_of(to->update);
    size_t last = p.n - (size_t)(pieces - 1) * LANES;
    bool penalized = to->update->l2 != 0 || to->update->decay != 1;
    waiting_tile w;
    w.p = to->p;
    w.m = to->m;
    w.v = to->v;
    w.ld = to->ld;
    w.rows = 0;
    for (; p.m >= (size_t)height; p.m -= (size_t)height) {
        fused_tile(&w, &f, &p, last, height, vectors, half);
        advance(&w, (size_t)height);
        if (penalized) {
            penalize(&w, to->update, p.n);
        }
        p.a = (const real *)p.a + (size_t)height * p.a_row;
    }
    step_rows(&w, &f, 0, pieces, last);
    if (p.m > 0) {
        advance(&w, p.m);
        p.c = w.gradient;
        p.ldc = PANEL;
        p.accumulate = p.far = false;
        p.ending = MLP_AS_IT_IS;
        p.ahead.lines = 0;
        product(&p);
        if (penalized) {
            penalize(&w, to->update, p.n);
        }
        step_rows(&w, &f, 0, pieces, last);
    }
}

#define WIDTH(vectors, half)                                                                          \
    static NOT_INLINE void fused_##vectors##_##half(const mlp_panel_product *p, const mlp_adam *to) { \
        fused_rows(p, to, vectors, half);                                                             \
    }
WIDTHS(WIDTH)
#undef WIDTH

static void product_adam(const mlp_panel_product *p, const mlp_adam *to) {
    switch (width_of(p->n)) {
#define WIDTH(vectors, half) \
    case 2 * vectors + half: fused_##vectors##_##half(p, to); break;
        WIDTHS(WIDTH)
#undef WIDTH
    default: break;
    }
}

#endif
