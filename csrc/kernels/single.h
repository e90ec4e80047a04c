/* single.h: a layer of one unit over a row-major block, and the forward pass of a few units after many inputs: their
 * weights are vectors over the inputs, and a register tile would be empty but for a few lanes.
 *
 * z runs over the inputs in one virtual vector of 64 bytes, input p in lane p mod WIDE, added up by the tree of
 * lanes.h: the same bits for every width of a native vector and any number of rows. dw is the same chain over samples as
 * gemm.h's. */

/* Rows of a at a time by units whose weights they meet: enough chains to hide the latency of a fused multiply-add. */
enum {
    DOT_CHAINS = WIDE_VECTORS == 1 ? 8 : 4,
    DOT_ROWS = LANES < DOT_CHAINS ? LANES : DOT_CHAINS,
    DOT_UNITS = LANES < 2 ? 1 : 2
};

/* Some lanes of `count` rows, from input p on, times those of the units' weights. */
ALWAYS_INLINE void dot_step(vec (*sum)[DOT_UNITS], const real *const *row, const real *w, size_t ldw, size_t p,
                            size_t n, const size_t count, const size_t units) {
    vec weights[DOT_UNITS];
    for (size_t u = 0; u < units; u++) {
        weights[u] = v_load_n(w + u * ldw + p, n);
    }
    UNROLL(8)
    for (size_t r = 0; r < count; r++) {
        vec x = v_load_n(row[r] + p, n);
        for (size_t u = 0; u < units; u++) {
            sum[r][u] = v_fma(x, weights[u], sum[r][u]);
        }
    }
}

/* halves[u][first + r] = of the virtual vector of unit u and row r what add_halves makes of it, for `count` rows; those
 * past the last one repeat it. The units' weights lie ldw apart. */
ALWAYS_INLINE void dot_halves(vec (*halves)[LANES], size_t first, const real *a, size_t ld, const real *w, size_t ldw,
                              size_t rows, size_t n, const size_t count, const size_t units) {
    vec sum[WIDE_VECTORS][DOT_ROWS][DOT_UNITS];
    const real *row[DOT_ROWS];
    for (size_t r = 0; r < count; r++) {
        row[r] = a + (r < rows ? r : rows - 1) * ld;
        for (size_t v = 0; v < units * WIDE_VECTORS; v++) {
            sum[v / units][r][v % units] = v_zero();
        }
    }
    size_t whole = n - n % WIDE;
    for (size_t p = 0; p < whole; p += WIDE) {
        for (size_t v = 0; v < WIDE_VECTORS; v++) {
            dot_step(sum[v], row, w, ldw, p + v * LANES, LANES, count, units);
        }
    }
    for (size_t v = 0; v < WIDE_VECTORS && whole + v * LANES < n; v++) {
        size_t p = whole + v * LANES;
        dot_step(sum[v], row, w, ldw, p, n - p, count, units);
    }
    for (size_t u = 0; u < units; u++) {
        for (size_t r = 0; r < count; r++) {
            vec wide[WIDE_VECTORS];
            for (size_t v = 0; v < WIDE_VECTORS; v++) {
                wide[v] = sum[v][r][u];
            }
            halves[u][first + r] = add_halves(wide);
        }
    }
}

/* The sum of n lanes by the same tree; they are used up. */
ALWAYS_INLINE real add_up(real *lanes, const size_t n) {
    UNROLL(4)
    for (size_t half = n / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

/* z of LANES rows, or of those that there are (then 0, or the bias, in the place of others): for so many units their
 * dots, and a bias (or NULL) that is added last. */
ALWAYS_INLINE void dot_rows(real *z, size_t stride, const real *a, size_t ld, const real *w, size_t ldw,
                            const real *bias, size_t rows, size_t n, const size_t units) {
    const size_t count = WIDE_VECTORS == 1 ? DOT_ROWS : (DOT_ROWS + units - 1) / units;
    vec halves[DOT_UNITS][LANES];
    UNROLL(1)
    for (size_t r = 0; r < LANES; r += count) {
        if (r < rows) {
            dot_halves(halves, r, a + r * ld, ld, w, ldw, rows - r, n, count, units);
            continue;
        }
        for (size_t i = 0; i < count * units; i++) {
            halves[i % units][r + i / units] = v_zero();
        }
    }
    for (size_t u = 0; u < units; u++) {
        vec sum = v_totals(halves[u]);
        v_store(z + u * stride, bias == NULL ? sum : v_add(sum, v_set1(bias[u])));
    }
}

/* Groups of LANES rows by themselves, so that they are compiled without the last one's conditions. */
static NOT_INLINE void dots_of_one(real *z, size_t stride, const real *a, size_t ld, const real *w, size_t ldw,
                                   const real *bias, size_t rows, size_t n) {
    (void)rows;
    dot_rows(z, stride, a, ld, w, ldw, bias, LANES, n, 1);
}
static NOT_INLINE void dots_of_some(real *z, size_t stride, const real *a, size_t ld, const real *w, size_t ldw,
                                    const real *bias, size_t rows, size_t n) {
    (void)rows;
    dot_rows(z, stride, a, ld, w, ldw, bias, LANES, n, DOT_UNITS);
}
static NOT_INLINE void dots_of_last(real *z, size_t stride, const real *a, size_t ld, const real *w, size_t ldw,
                                    const real *bias, size_t rows, size_t n) {
    dot_rows(z, stride, a, ld, w, ldw, bias, rows, n, 1);
}

static inline void clear_row(real *z) {
    for (size_t v = 0; v < WIDE; v += LANES) {
        v_store(z + v, v_zero());
    }
}

/* The same of a single row: z of one unit. */
static void dot_single(real *z, const real *a, const real *w, const real *bias, size_t n) {
    vec halves[DOT_UNITS][LANES];
    real lanes[LANES];
    dot_halves(halves, 0, a, 0, w, 0, 1, n, 1, 1);
    v_store(lanes, halves[0][0]);
    clear_row(z);
    *z = bias == NULL ? add_up(lanes, LANES) : add_up(lanes, LANES) + *bias;
}

/* And of several, which lie like rows that meet it. */
static NOT_INLINE void dots_of_row(real *z, size_t stride, const real *a, const real *w, size_t ldw, const real *bias,
                                   size_t n, size_t units) {
    for (size_t k = 0; k < units; k += LANES) {
        real lanes[LANES];
        size_t some = units - k < LANES ? units - k : LANES;
        dots_of_last(lanes, 0, w + k * ldw, ldw, a, 0, NULL, some, n);
        for (size_t u = 0; u < some; u++) {
            clear_row(z + (k + u) * stride);
            z[(k + u) * stride] = bias == NULL ? lanes[u] : lanes[u] + bias[k + u];
        }
    }
}

/* z (units, stride), to whole virtual vectors. */
static void dots_forward(void *z, size_t stride, const void *a, size_t ld, const void *w, size_t ldw, const void *bias,
                         size_t rows, size_t n, size_t units) {
    if (rows == 1 && units > 1) {
        dots_of_row(z, stride, a, w, ldw, bias, n, units);
        return;
    }
    if (rows == 1) {
        dot_single(z, a, w, bias, n);
        return;
    }
    for (size_t i = 0; i < rows || i % WIDE != 0; i += LANES) {
        size_t left = i < rows ? rows - i : 0, some = 0;
        const real *row = left > 0 ? (const real *)a + i * ld : NULL;
        for (size_t k = 0; k < units; k += some) {
            bool several = left >= LANES && units - k >= DOT_UNITS;
            some = several ? DOT_UNITS : 1;
            (several         ? dots_of_some
             : left >= LANES ? dots_of_one
                             : dots_of_last)((real *)z + k * stride + i, stride, row, ld, (const real *)w + k * ldw,
                                             ldw, bias == NULL ? NULL : (const real *)bias + k, left, n);
        }
    }
}

ALWAYS_INLINE void gradient_columns(real *dw, const real *a, size_t ld, const real *dz, size_t rows, size_t n,
                                    bool accumulate, const int vectors) {
    vec sum[4];
    for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * LANES;
        sum[j] = accumulate ? v_load_n(dw + at, n - at) : v_zero();
    }
    for (size_t i = 0; i < rows; i++, a += ld) {
        vec delta = v_set1(dz[i]);
        UNROLL(4)
        for (int j = 0; j < vectors; j++) {
            size_t at = (size_t)j * LANES;
            sum[j] = v_fma(j + 1 < vectors ? v_load(a + at) : v_load_n(a + at, n - at), delta, sum[j]);
        }
    }
    for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * LANES;
        v_store_n(dw + at, sum[j], n - at);
    }
}

/* *db (+)= the sum of dz. */
static NOT_INLINE void sum_deltas(real *db, const real *dz, size_t rows, bool accumulate) {
    real wide[WIDE];
    lanes_columns(NULL, 0, wide, NULL, dz, rows, false, 0);
    real sum = add_up(wide, WIDE);
    *db = accumulate ? *db + sum : sum;
}

/* dw (n,) (+)= a^T dz; db, unless NULL, (+)= the sum of dz. */
static void single_gradient(void *dw, void *db, const void *a, size_t ld, const void *dz, size_t rows, size_t n,
                            bool accumulate) {
    if (db != NULL) {
        sum_deltas(db, dz, rows, accumulate);
    }
#define PASS(vectors) gradient_columns((real *)dw + j, (const real *)a + j, ld, dz, rows, n - j, accumulate, vectors)
    BY_VECTORS(j, n, PASS)
#undef PASS
}

/* Of up to four vectors of columns: w, and the sums that go on from row to row. */
typedef struct {
    vec w[4], dw[4], db[4];
} back_sums;

static NOT_INLINE void begin_columns(back_sums *sums, const mlp_single *p, size_t j, size_t vectors) {
    for (size_t v = 0; v < vectors; v++, j += LANES) {
        sums->w[v] = v_load((const real *)p->w + j);
        sums->dw[v] = p->accumulate ? v_load_n((const real *)p->dw + j, p->n - j) : v_zero();
        sums->db[v] =
            p->accumulate && p->db_below != NULL ? v_load_n((const real *)p->db_below + j, p->n - j) : v_zero();
    }
}

static NOT_INLINE void end_columns(const back_sums *sums, const mlp_single *p, size_t j, size_t vectors) {
    for (size_t v = 0; v < vectors; v++, j += LANES) {
        v_store_n((real *)p->dw + j, sums->dw[v], p->n - j);
        if (p->db_below != NULL) {
            v_store_n((real *)p->db_below + j, sums->db[v], p->n - j);
        }
    }
}

/* Of `vectors` vectors all rows; dg: g' from the slopes, which are a itself unless there are some. */
ALWAYS_INLINE void back_columns(const mlp_single *p, size_t j, const real *slopes, vec (*dg)(vec), const int vectors) {
    real *a = (real *)p->a + j;
    const real *dz = p->dz;
    back_sums sums;
    vec w[4], dw[4], db[4]; /* of them, in registers */
    begin_columns(&sums, p, j, (size_t)vectors);
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        w[v] = sums.w[v];
        dw[v] = sums.dw[v];
        db[v] = sums.db[v];
    }
    for (size_t i = 0; i < p->rows; i++, a += p->ld) {
        vec delta = v_set1(dz[i]);
        UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)v * LANES;
            vec x = v_load(a + at), slope = dg(v_held(slopes == NULL ? x : v_load(slopes + i * p->ld + j + at)));
            vec below = v_mul(v_mul(delta, w[v]), slope);
            dw[v] = v_fma(x, delta, dw[v]);
            db[v] = v_add(db[v], below);
            v_store(a + at, below);
        }
    }
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        sums.dw[v] = dw[v];
        sums.db[v] = db[v];
    }
    end_columns(&sums, p, j, (size_t)vectors);
}

ALWAYS_INLINE void back_from_single(const mlp_single *p, const real *slopes, vec (*dg)(vec)) {
    if (p->db != NULL) {
        sum_deltas(p->db, p->dz, p->rows, p->accumulate);
    }
#define PASS(vectors) back_columns(p, j, slopes, dg, vectors)
    BY_VECTORS(j, p->n, PASS)
#undef PASS
}

/* For activations often met, and all whose g' comes from the input; each of the others would take 8 kB of the
 * extension's megabyte. */
static void single_backward_relu(const mlp_single *p) { back_from_single(p, NULL, d_relu); }
static void single_backward_sigmoid(const mlp_single *p) { back_from_single(p, NULL, d_sigmoid); }
static void single_backward_tanh(const mlp_single *p) { back_from_single(p, NULL, d_tanh); }
static void single_backward_by_slopes(const mlp_single *p) { back_from_single(p, p->slopes, unchanged); }
