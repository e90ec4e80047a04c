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

/* Gradients and where they go: rows of `pieces` vectors, which lie ld apart in p, m and v. Where the weights' rows follow
 * each other without a gap they are cut anew, into rows of whole vectors; what is less than a row waits for the next
 * tile. A vector that is stored in part would keep the next row, which begins within it, waiting until it is in the
 * cache. */
typedef struct {
    _Alignas(MLP_VECTOR_BYTES) real gradient[12 * PANEL]; /* what waits and a tile, whose last row may end in a spill */
    real *p, *m, *v;
    size_t ld, rows, rest; /* rest: elements after the rows */
} waiting_tile;

#define FITS(vectors) ((FUSED_HEIGHT(vectors) + 1) * (vectors) <= 12 * TILE_VECTORS)
_Static_assert(FITS(1) && FITS(2) && FITS(3) && FITS(4), "less than a row waits, and a tile");
#undef FITS

ALWAYS_INLINE void step_vector(const waiting_tile *w, const adam_factors *f, size_t i, int j, int pieces, size_t last) {
    size_t at = i * w->ld + (size_t)j * LANES;
    adam_vector(w->p + at, w->m + at, w->v + at, v_load(w->gradient + (i * (size_t)pieces + (size_t)j) * LANES),
                j + 1 < pieces ? LANES : last, f);
}

ALWAYS_INLINE void step_rows(const waiting_tile *w, const adam_factors *f, size_t first, int pieces, size_t last) {
    for (size_t i = first; i < w->rows; i++) {
        UNROLL(4)
        for (int j = 0; j < pieces; j++) {
            step_vector(w, f, i, j, pieces, last);
        }
    }
}

static NOT_INLINE void step_rest(const waiting_tile *w, const adam_factors *f) {
    size_t at = w->rows * w->ld;
    for EACH_VECTOR (j, w->rest) {
        adam_vector(w->p + at + j, w->m + at + j, w->v + at + j, v_load(w->gradient + at + j), w->rest - j, f);
    }
}

/* Penalty and decay of the weights that gradients go to: a pass of its own, as within the step it would cost 5 % also
 * where there is neither. */
static NOT_INLINE void penalize(real *gradient, size_t ld_gradient, real *p, size_t ld, size_t rows, size_t n,
                                const mlp_update *u) {
    vec l2 = v_set1((real)u->l2), decay = v_set1((real)u->decay);
    bool decays = u->decay != 1;
    for (size_t i = 0; i < rows; i++, gradient += ld_gradient, p += ld) {
        for EACH_VECTOR (j, n) {
            vec weight = v_load_n(p + j, n - j);
            v_store_n(gradient + j, v_fma(l2, weight, v_load(gradient + j)), n - j);
            if (decays) {
                v_store_n(p + j, v_mul(weight, decay), n - j);
            }
        }
    }
}

/* Where a product's gradients go: n weights in a row. */
typedef struct {
    const mlp_adam *to;
    size_t n, ld_gradient, last; /* last: elements of the last vector in a row that waits */
    bool close, penalized;       /* close: the rows follow each other without a gap */
} fused_weights;

/* What waits has been through its step, but for the rest, which comes first now. */
ALWAYS_INLINE void make_room(waiting_tile *w, const int pieces) {
    const real *rest = w->gradient + w->rows * (size_t)pieces * LANES;
    for (size_t j = 0; j < w->rest; j += LANES) {
        v_store(w->gradient + j, v_load(rest + j));
    }
    size_t done = w->rows * w->ld;
    w->p += done;
    w->m += done;
    w->v += done;
}

/* So many rows of weights more, whose gradients have been put after the rest. */
ALWAYS_INLINE void add_rows(waiting_tile *w, const fused_weights *all, size_t rows, const int pieces) {
    const size_t width = (size_t)pieces * LANES;
    if (all->penalized) {
        penalize(w->gradient + w->rest, all->ld_gradient, w->p + w->rest, all->to->ld, rows, all->n, all->to->update);
    }
    w->rows = rows;
    if (all->close) {
        size_t n = w->rest + rows * all->n;
        w->rows = n / width;
        w->rest = n % width;
    }
}

/* The gradients of a whole tile, once what waits has been through its step. */
ALWAYS_INLINE void fused_tile(waiting_tile *w, const adam_factors *f, const fused_weights *all,
                              const mlp_panel_product *product_of_rows, const int rows, const int vectors,
                              const int half) {
    const size_t a_row = product_of_rows->a_row, a_k = product_of_rows->a_k, ldb = product_of_rows->ldb;
    const size_t k = product_of_rows->k;
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
            step_vector(w, f, beside, j, pieces, all->last);
        }
    }
    for (; p < k; p++, a += a_k, b += ldb) {
        multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
        UNKNOWN_STRIDE(a);
    }
    step_rows(w, f, beside, pieces, all->last);
    make_room(w, pieces);
    /* Past the end of a row lies the next one, which is stored after it. */
    store_tile(&sum, w->gradient + w->rest, all->ld_gradient, half ? HALF_LANES : LANES, rows, vectors, half);
    add_rows(w, all, (size_t)rows, pieces);
}

ALWAYS_INLINE void fused_rows(const mlp_panel_product *product_of_rows, const mlp_adam *to, const int vectors,
                              const int half) {
    mlp_panel_product p = *product_of_rows;
    const int pieces = vectors + half, height = FUSED_HEIGHT(pieces);
    const size_t width = (size_t)pieces * LANES;
    adam_factors f = factors_of(to->update);
    bool close = to->ld == p.n;
    const fused_weights all = {.to = to,
                               .n = p.n,
                               .ld_gradient = close ? p.n : width,
                               .last = close ? LANES : p.n - (width - LANES),
                               .close = close,
                               .penalized = to->update->l2 != 0 || to->update->decay != 1};
    waiting_tile w;
    w.p = to->p;
    w.m = to->m;
    w.v = to->v;
    w.ld = close ? width : to->ld;
    w.rows = w.rest = 0;
    for (; p.m >= (size_t)height; p.m -= (size_t)height) {
        fused_tile(&w, &f, &all, &p, height, vectors, half);
        p.a = (const real *)p.a + (size_t)height * p.a_row;
    }
    if (p.m > 0) {
        step_rows(&w, &f, 0, pieces, all.last);
        make_room(&w, pieces);
        p.c = w.gradient + w.rest;
        p.ldc = all.ld_gradient;
        p.accumulate = p.far = false;
        p.ending = MLP_AS_IT_IS;
        p.ahead.lines = 0;
        product(&p);
        add_rows(&w, &all, p.m, pieces);
    }
    step_rows(&w, &f, 0, pieces, all.last);
    step_rest(&w, &f);
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
